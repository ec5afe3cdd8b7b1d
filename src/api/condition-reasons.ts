// Every reason that a condition or an Event of ours can have, with what it means and what to do: the reference page
// docs/reference/conditions.md is made of it, and a test finds each reason of the code here. Decides nothing.

export interface ReasonRow {
  /** Where it is seen: kinds and condition types, or Event. */
  readonly where: string;
  readonly meaning: string;
  /** Empty: nothing. */
  readonly remedy: string;
}

const pool = 'Pool SlotTrouble, Ready';
const refusal = 'Event of any kind; Pool SlotTrouble, Ready; ModelRevision Staged; Model Ready, Pinned';
const pin = 'Model Pinned, Ready';
const instance = 'Model Ready';
const staged = 'ModelRevision Staged; Model Ready, Pinned';
const passes = 'It passes by itself.';
const triedAgain = 'It is tried again, more and more slowly.';

export const conditionReasons: Readonly<Record<string, ReasonRow>> = {
  // ---- Pools
  SlotsConnected: { where: 'Pool Ready', meaning: 'The slots are there.', remedy: '' },
  Empty: { where: 'Pool Ready', meaning: 'There is no slot, and none is wanted.', remedy: '' },
  SpareMet: { where: 'Pool SpareMet', meaning: 'As many slots stand free as should.', remedy: '' },
  Refilling: {
    where: 'Pool SpareMet',
    meaning: 'Slots are being made, or are still leaving what they held.',
    remedy: passes,
  },
  SlotsMax: {
    where: 'Pool SpareMet',
    meaning: 'What is wanted and what should stand free are more than slots.max.',
    remedy: 'Raise spec.slots.max, or lower what spec.spare asks for.',
  },
  BufferKept: { where: 'Pool CapacityBuffered', meaning: 'The CapacityBuffer is there as it should be.', remedy: '' },
  BufferApiMissing: {
    where: 'Pool CapacityBuffered',
    meaning: 'The cluster knows no CapacityBuffers.',
    remedy: 'Install a cluster autoscaler that has them, or take spec.spare.capacityBuffer out.',
  },
  BufferRefused: {
    where: 'Pool CapacityBuffered',
    meaning: 'The server did not take the CapacityBuffer or its PodTemplate; the message is its own.',
    remedy:
      'Where a right is missing, set `rbac.capacityBuffers=true` of the chart. It is tried again every 5 minutes.',
  },
  BufferTaken: {
    where: 'Pool CapacityBuffered',
    meaning: 'An object of the name that is needed belongs to somebody else.',
    remedy: 'Give it another name, or delete it.',
  },
  OneMachine: {
    where: 'Pool CapacityBuffered',
    meaning: 'Without a cluster there are no nodes to ask for.',
    remedy: 'Take spec.spare.capacityBuffer out.',
  },
  SlotsSuffice: {
    where: 'Pool MinAwakePossible; Model MinAwakePossible',
    meaning: 'What never sleeps has slots to be awake in.',
    remedy: '',
  },
  TooFewSlots: {
    where: 'Pool MinAwakePossible; Model MinAwakePossible',
    meaning:
      'More instances should never sleep than the Pools that they may use may have slots. Some of them are not awake, and others find no slot. The message has the sum.',
    remedy: 'Raise spec.slots.max of the Pool, or lower spec.scaling.minAwake of a Model.',
  },
  SleeperFits: {
    where: 'Model SleepPossible',
    meaning:
      'An instance that sleeps fits into a slot. Before one has slept, its size is a guess; where twice its weights and 8 GiB are more than a slot may hold, the first one sleeps alone in its slot, and is measured.',
    remedy: '',
  },
  SleeperTooLarge: {
    where: 'Model SleepPossible',
    meaning:
      'An instance that sleeps holds more than a slot may, or is thought to, or the first one was lost before it was measured. It is stopped instead, so every call after a pause waits for a start. The message has the figures.',
    remedy: 'Raise spec.sleeperBytes of the Pool to what the message says; on a cluster set spec.pod.memoryBytes, too.',
  },
  SlotsStarting: { where: 'Pool Ready', meaning: 'Pods of slots are young.', remedy: passes },
  Deleting: {
    where: 'Pool Ready; Model Ready',
    meaning:
      'The object is being deleted: a Pool waits for the Pods of its slots, a Model for the slots that hold it. The message names them.',
    remedy: passes,
  },
  DeletionStuck: {
    where: 'Pool SlotTrouble; Event of a Pool',
    meaning:
      'The Pool is being deleted, and a Pod of it does not end: its node does not answer, or something holds the Pod.',
    remedy:
      'Bring the node back, or delete it if it is gone for good: `kubectl delete node NAME`. `kubectl describe pod` says what else holds the Pod.',
  },
  NoTrouble: { where: 'Pool SlotTrouble', meaning: 'Nothing is known to be wrong.', remedy: '' },
  Unschedulable: {
    where: `${pool}; ${staged}`,
    meaning: 'No node takes the Pod.',
    remedy: 'Add nodes with the accelerator, free some, or look at nodeSelector and tolerations in spec.pod.',
  },
  ClaimMissing: {
    where: `${pool}; ${staged}`,
    meaning: 'No node takes the Pod, because a claim that it names is not there, or is being deleted.',
    remedy: 'Make the claim, or name another one in the field of the Pool that the message names.',
  },
  ClaimUnusable: {
    where: `${pool}; ${staged}`,
    meaning:
      'No node takes the Pod, because a claim that it names has no volume, or one that none of its nodes can use.',
    remedy:
      '`kubectl describe pvc NAME` says why it has none. Else let nodeSelector and tolerations in spec.pod allow the nodes of the volume.',
  },
  ImagePullFailed: {
    where: `${pool}; ${staged}`,
    meaning: 'The node does not get an image.',
    remedy:
      'Look at image, tag or digest in the values of the chart, or at engine.image of the Model, and at imagePullSecrets.',
  },
  ContainerNotCreated: {
    where: `${pool}; ${staged}`,
    meaning: 'A container cannot be made: the Pod names something that is missing, or that does not fit its node.',
    remedy: 'Make what the message names.',
  },
  InitFailed: {
    where: pool,
    meaning: 'What has to run before the agent failed.',
    remedy: '`kubectl logs POD -c NAME` says more.',
  },
  ImageUnusable: {
    where: pool,
    meaning: 'The image of an engine was tried before its slot starts, and the agent cannot run in it.',
    remedy: 'Choose an image with /bin/sh and glibc 2.34 or newer in `spec.version.engine.image` of the Model.',
  },
  OutOfMemory: {
    where: pool,
    meaning: 'The slot used more memory than it may, and the kernel ended it.',
    remedy: 'Raise memoryBytes in spec.pod of the Pool, or lower sleepersPerSlotMax.',
  },
  AgentCrashing: {
    where: pool,
    meaning: 'The agent ends again and again.',
    remedy: '`kubectl logs --previous` of the Pod says why.',
  },
  Evicted: {
    where: pool,
    meaning: 'The slot is sent away: the node is drained, or ran short of something.',
    remedy: 'A new slot is made. If nodes run short often: priorityClassName and memoryBytes in spec.pod.',
  },
  DiskFull: {
    where: `${pool}; ${staged}`,
    meaning: 'A slot was evicted because its node ran short of disk, or a download had no room left.',
    remedy: 'Free the disk, or make the weight volume larger.',
  },
  Preempted: {
    where: pool,
    meaning: 'A Pod of higher priority took the place of the slot.',
    remedy: 'A new slot is made where there is room. Give slots a priorityClassName if they matter more.',
  },
  Refused: {
    where: pool,
    meaning: 'The node refused the Pod at its door: it had promised room that it does not have.',
    remedy: 'Look at the device plugin of the node, and at what else uses it.',
  },
  Ended: { where: pool, meaning: 'The Pod of a slot ended.', remedy: 'A new one is made.' },
  NodeLost: {
    where: `${pool}; ${staged}`,
    meaning:
      'The node does not answer, or does not end a Pod. Its slot counts for spec.slots.max until the node is back or its Node object is deleted, because its accelerators may still be in use.',
    remedy: 'Bring the node back, or delete its Node object if it is gone for good: `kubectl delete node NAME`.',
  },
  NotStarted: {
    where: `${pool}; ${staged}`,
    meaning:
      'The Pod has a node and does not start. The node says why, or nothing for long: then a large image is still being pulled, or a volume cannot be mounted.',
    remedy: 'Do what the message says. `kubectl describe pod POD` shows the Events of the Pod.',
  },
  AgentOutdated: {
    where: 'Pool AgentOutdated',
    meaning: 'Slots of an older release serve what they have, and are replaced when no request came for a while.',
    remedy: passes,
  },
  AllCurrent: { where: 'Pool AgentOutdated', meaning: 'Every agent can be commanded.', remedy: '' },
  LeaderStuck: {
    where: 'Event of the Pod of the controller',
    meaning: 'It holds the Lease and cannot lead: what it needs for that is not to be had.',
    remedy: 'Do what the message says: mostly it lacks a right, or a Secret is damaged. It goes on by itself.',
  },
  SlotMade: { where: 'Event of a Pool', meaning: 'A slot was made.', remedy: '' },
  // ---- What the API server does not take
  MissingRight: {
    where: refusal,
    meaning: 'The ServiceAccount of the controller may not do what it has to.',
    remedy:
      'Install the chart with rbac.create=true, or bind a Role with the right. `stoker doctor` names all that are missing.',
  },
  QuotaExceeded: {
    where: refusal,
    meaning: 'A ResourceQuota of the namespace is used up.',
    remedy: 'Raise it, or lower slots of the Pool.',
  },
  PodSecurityRefused: {
    where: refusal,
    meaning: 'The Pod security level of the namespace does not take such Pods.',
    remedy:
      'Label the namespace pod-security.kubernetes.io/enforce=baseline, or set spec.pod.security of the Pool to Restricted.',
  },
  ServerRefused: {
    where: refusal,
    meaning: 'An admission policy or a webhook of the cluster refuses what the controller writes.',
    remedy: 'Its sentence is in the message.',
  },
  WebhookFailed: {
    where: refusal,
    meaning: 'A webhook of the cluster has to be asked about what the controller writes, and does not answer.',
    remedy: 'Mend what serves the webhook that the message names, or delete its configuration.',
  },
  ServerFailed: {
    where: `Event of a Pool; ${pool}`,
    meaning: 'The API server is busy or failed when the controller wrote to it.',
    remedy: `${triedAgain} If it stays, look at the API server.`,
  },
  PolicyTaken: {
    where: `Event of a Pool; ${pool}`,
    meaning:
      'A NetworkPolicy of the name that is needed belongs to somebody else, and no slot is made without the one of the Pool.',
    remedy: 'Give it another name, or delete it.',
  },
  // ---- Models
  Possible: { where: 'Model ObjectivePossible', meaning: 'Nothing that was measured speaks against it.', remedy: '' },
  Unmeasured: {
    where: 'Model ObjectivePossible',
    meaning: 'No climb of the version that answers was seen yet.',
    remedy: 'It is judged after the first wake.',
  },
  Impossible: {
    where: 'Model ObjectivePossible',
    meaning: 'A request that finds nothing awake waits longer than firstTokenMillis, whatever is decided.',
    remedy: 'Set scaling.minAwake to 1, or raise firstTokenMillis.',
  },
  SlowClimb: {
    where: 'Model ObjectivePossible',
    meaning:
      'No objective is stated. A request that finds nothing awake waits longer than the 5 s that scaling goes by, whatever is decided.',
    remedy:
      'Nothing, unless that matters: then scaling.minAwake: 1. To have another time aimed at, set firstTokenMillis.',
  },
  SlotsTaken: {
    where: 'Model ObjectivePossible',
    meaning:
      'A request that finds nothing awake is in time in a free slot. Where every slot is taken, another model has to sleep first, and it is not.',
    remedy: 'Set spec.spare of the Pool, or scaling.minAwake to 1, or raise firstTokenMillis.',
  },
  PromptsTooLong: {
    where: 'Model ObjectivePossible',
    meaning:
      'An instance that does nothing else reads the longest 5 of 100 prompts in more than firstTokenMillis, or the 5 s of a Model that states none.',
    remedy: 'Raise firstTokenMillis, or give a slot more accelerators. minAwake does not help.',
  },
  Unplanned: { where: 'Model Ready', meaning: 'It is new, and routers are about to be told of it.', remedy: passes },
  Awake: { where: 'Model Ready', meaning: 'Requests are served at once.', remedy: '' },
  Cold: { where: 'Model Ready', meaning: 'Nothing is awake; the next request wakes an instance.', remedy: '' },
  Upstream: { where: 'Model Ready', meaning: 'Requests are passed on to an API elsewhere.', remedy: '' },
  NoPool: {
    where: 'Model Ready',
    meaning: 'spec.pools names no Pool of this namespace.',
    remedy: 'Make one, or change spec.pools.',
  },
  NoSlot: {
    where: 'Model Ready',
    meaning: 'No Pool that it may use has a slot that works.',
    remedy: 'The message is that of the Pool.',
  },
  NameTaken: {
    where: 'Model NameTaken, Ready',
    meaning: 'An older Model has the same servedName, and keeps it.',
    remedy: 'Make this one again with another servedName.',
  },
  TooManyModels: {
    where: 'Model Ready',
    meaning: 'Routers are told of 1000 Models of a namespace, and so many are older than this one.',
    remedy: 'Delete a Model that is not needed, or move this one to another namespace with an installation of its own.',
  },
  NameFree: { where: 'Model NameTaken', meaning: 'It has its name.', remedy: '' },
  UpToDate: { where: 'Model Updated', meaning: 'The version of the spec answers.', remedy: '' },
  CandidateStarting: {
    where: 'Model Updated',
    meaning: 'A new version is being started; the one before answers meanwhile.',
    remedy: passes,
  },
  CandidateFailed: {
    where: 'Model Updated',
    meaning: 'The new version does not start; the one before goes on answering.',
    remedy: `Change spec.version to mend it. ${triedAgain}`,
  },
  CandidateFound: { where: 'Event of a Model', meaning: 'A new version is being tried.', remedy: '' },
  LearnedStateUnusable: {
    where: 'Event of a Model',
    meaning: 'The ConfigMap with what was learned of its work and its climbs is damaged, or of another release.',
    remedy: 'Nothing: it is learned again from the first request on.',
  },
  Promoted: { where: 'Event of a Model', meaning: 'A new version answers from now on.', remedy: '' },
  NotPinned: {
    where: 'Model Updated, Ready',
    meaning: 'No version is pinned (yet).',
    remedy: 'Look at the condition Pinned.',
  },
  Pinned: { where: 'Model Pinned', meaning: 'The version is pinned.', remedy: '' },
  Resolving: { where: 'Model Pinned', meaning: 'Weights and engine are being looked up.', remedy: passes },
  RevisionTaken: {
    where: pin,
    meaning: 'There is a ModelRevision of that name with other contents.',
    remedy: 'Delete it.',
  },
  RevisionInUse: {
    where: 'Event of a ModelRevision',
    meaning: 'Somebody deleted a revision that answers or is on trial. It stays, and nothing that runs is stopped.',
    remedy: 'Change spec.version of the Model, or delete the Model: then it goes.',
  },
  // ---- Pins
  WeightsMissing: {
    where: `${pin}; ${instance}`,
    meaning: 'A file or folder of the weights is not where it should be.',
    remedy: 'Put it there, or change spec.version.weights. The path is one of the process that the message names.',
  },
  WeightsUnreadable: {
    where: `${pin}; ${instance}`,
    meaning: 'A file of the weights cannot be read.',
    remedy: 'Look at its rights and its volume.',
  },
  WeightsInvalid: {
    where: pin,
    meaning: 'The file is not of the form that the engine reads.',
    remedy: 'Name another file, or another engine.',
  },
  ContextTooLong: {
    where: pin,
    meaning: 'contextLength is above what the model was trained for.',
    remedy: 'Lower spec.version.contextLength.',
  },
  ContextUnknown: {
    where: pin,
    meaning: 'The files do not say how long a context may be.',
    remedy: 'Set spec.version.contextLength.',
  },
  ImageMissing: {
    where: pin,
    meaning: 'The engine needs an image on a cluster, and none is named.',
    remedy: 'Set spec.version.engine.image.',
  },
  ImageNotUsable: {
    where: pin,
    meaning: 'An image is named where none can be run: on one machine.',
    remedy: 'Leave engine.image out there.',
  },
  ImageUnresolved: {
    where: pin,
    meaning: 'The registry does not say which image the tag leads to.',
    remedy: 'Do what the message says about the registry, or name the image by digest. It is asked again.',
  },
  EngineNotAllowed: {
    where: pin,
    meaning: 'Engines that are installed on this machine may not be started.',
    remedy: 'Start Stoker with --allow-commands.',
  },
  DigestMissing: {
    where: pin,
    meaning: 'pinPolicy is RequireDigest, and something is named without its digest.',
    remedy: 'Name it by digest or commit.',
  },
  AddressRefused: {
    where: `${pin}; ${staged}`,
    meaning: 'An address is one that is never asked, such as one of a link-local network.',
    remedy: 'Name another one.',
  },
  SecretMissing: { where: pin, meaning: 'A Secret that the Model names is not there.', remedy: 'Make it.' },
  SecretUnreadable: { where: pin, meaning: 'A Secret could not be read.', remedy: triedAgain },
  SecretForbidden: {
    where: pin,
    meaning: 'The controller may not read that Secret, or it is one of its own.',
    remedy: 'Name it in rbac.readSecrets of the chart, or name another Secret in the Model.',
  },
  SecretKeyMissing: {
    where: 'Model Ready',
    meaning: 'The Secret has no such entry.',
    remedy: 'Add it, or change the key.',
  },
  SecretKeyInvalid: {
    where: 'Model Ready',
    meaning: 'The entry cannot be sent in a header.',
    remedy: 'Write the key alone, without a line break.',
  },
  ReadingSecret: { where: 'Model Ready', meaning: 'The key of the upstream is being read.', remedy: passes },
  // ---- Revisions: what runs, and the download
  Verified: { where: 'ModelRevision PinVerified', meaning: 'What runs is what was pinned.', remedy: '' },
  EngineChanged: {
    where: 'ModelRevision PinVerified',
    meaning: 'The engine that runs is of another build than the pinned one.',
    remedy: 'Change spec.version to pin the new one, or go back to the old image.',
  },
  WeightsChanged: {
    where: 'ModelRevision PinVerified; Model Ready',
    meaning: 'Files are not those that were pinned.',
    remedy: 'Bring them back, or change spec.version to pin the new ones.',
  },
  ProbeMismatch: {
    where: 'ModelRevision PinVerified; Model Ready',
    meaning:
      'The engine answers the probe differently from its first verified start: its weights or its build are not the same.',
    remedy: 'It is started anew. If it stays, look at the accelerator and the image.',
  },
  Staged: { where: 'ModelRevision Staged', meaning: 'The files are on every volume.', remedy: '' },
  Staging: { where: staged, meaning: 'The files are being downloaded.', remedy: passes },
  NotUsed: { where: 'ModelRevision Staged', meaning: 'No Model uses it, so nothing is downloaded.', remedy: '' },
  CacheTooSmall: {
    where: staged,
    meaning: 'The files alone are larger than the Pool allows on its volume.',
    remedy: 'Raise spec.weights.cacheBytesMax of the Pool, and the volume if it is no larger.',
  },
  CacheFull: {
    where: staged,
    meaning: 'The volume has no room, and what lies there is in use or asleep.',
    remedy: 'Sleepers are stopped by themselves. What is awake stays: raise spec.weights.cacheBytesMax, or wait.',
  },
  NotCached: {
    where: staged,
    meaning: 'The files made room for others, or found none, and nobody asks for the Model.',
    remedy: 'Nothing to do: the next request brings them.',
  },
  WeightsEvicted: {
    where: 'Event of a ModelRevision',
    meaning: 'Its files were taken off a volume to make room for others.',
    remedy: 'Raise spec.weights.cacheBytesMax of the Pool if it happens often.',
  },
  NoWeightVolume: {
    where: staged,
    meaning: 'No Pool that it may use has a volume for weights.',
    remedy: 'Set spec.weights of the Pool.',
  },
  NoNode: {
    where: 'ModelRevision Staged',
    meaning: 'Weights lie on each node, and no Pool of the Model has a slot that says which node.',
    remedy: 'Nothing: the next request makes a slot. `slots.min` of the Pool makes one beforehand.',
  },
  HostPathForbidden: {
    where: `${staged}; ${pool}`,
    meaning: 'The Pool names a folder of the node, and the installation does not allow that.',
    remedy: 'Set slots.allowHostPath of the chart, or use `claimName` of spec.weights or spec.compileCache.',
  },
  StagerFailed: {
    where: staged,
    meaning: 'The Pod that downloads ended without a word.',
    remedy: `${triedAgain} \`kubectl logs\` of the Pod says more.`,
  },
  AccessDenied: {
    where: staged,
    meaning: 'The source wants credentials, or does not take these.',
    remedy: 'Look at the Secret that the Model names, and accept the licence of the model where there is one.',
  },
  FilesMissing: {
    where: staged,
    meaning: 'The source has no such files.',
    remedy: 'Check name, revision and file patterns.',
  },
  SourceUnreachable: {
    where: staged,
    meaning: 'The source does not answer.',
    remedy: `${triedAgain} Look at the network of the stager: it needs a way out.`,
  },
  SourceRefused: {
    where: staged,
    meaning: 'The source answered something that is no use.',
    remedy: 'Its answer is in the message.',
  },
  HashMismatch: {
    where: `${staged}; Model Pinned`,
    meaning: 'A file has other contents than the digest says.',
    remedy: 'Correct the digest, or the file at its source.',
  },
  SizeMismatch: {
    where: staged,
    meaning: 'A file has another size than was said.',
    remedy: 'Correct sizeBytes, or the file at its source.',
  },
  CacheUnwritable: {
    where: staged,
    meaning: 'The weight volume cannot be written.',
    remedy: 'Make it writable for Stoker.',
  },
  PlanInvalid: {
    where: staged,
    meaning: 'The files that are named cannot be downloaded as they are named.',
    remedy: 'The message says which.',
  },
  // ---- Instances
  StartFailed: {
    where: instance,
    meaning: 'The engine did not start.',
    remedy: `Its last words are in the message. ${triedAgain}`,
  },
  LoadFailed: {
    where: instance,
    meaning: 'The engine could not load the weights.',
    remedy: `Its last words are in the message. ${triedAgain}`,
  },
  ProbeFailed: { where: instance, meaning: 'The engine did not answer the probe.', remedy: triedAgain },
  SleepFailed: {
    where: instance,
    meaning: 'The engine could not be put to sleep, and was ended.',
    remedy: 'Set serving.sleep to Never if it stays.',
  },
  WakeFailed: {
    where: instance,
    meaning: 'The engine did not wake, and is started anew.',
    remedy: 'Set serving.sleep to Never if it stays.',
  },
  StepTimeout: { where: instance, meaning: 'A start or a wake took longer than it may.', remedy: triedAgain },
  EngineExited: {
    where: instance,
    meaning: 'The engine ended by itself.',
    remedy: `Its last words are in the message. ${triedAgain}`,
  },
  EngineFailed: { where: instance, meaning: 'The engine failed in a way that has no name.', remedy: triedAgain },
  Failed: {
    where: instance,
    meaning: 'An instance failed and gave no reason.',
    remedy: `Look at the log of its slot. ${triedAgain}`,
  },
  EngineUnresponsive: {
    where: instance,
    meaning: 'The engine did not answer for too long, and was ended.',
    remedy: triedAgain,
  },
  EngineLeaked: {
    where: instance,
    meaning: 'After a sleep the engine held more accelerator memory than it may, and was ended.',
    remedy: `It starts anew from its weights. If that happens often, set serving.sleep to Never or try another release of it. ${triedAgain}`,
  },
  EngineUnreachable: { where: instance, meaning: 'The engine does not take connections.', remedy: triedAgain },
  EngineStuck: { where: instance, meaning: 'The engine did not end when it was told to.', remedy: triedAgain },
};
