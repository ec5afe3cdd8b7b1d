// Ends what a test has started when the test itself is ended in the middle: by a signal, or because the runner that started
// its process is gone, which then gets no signal. Containers and mounts would outlive both.

const SIGNALS = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;
const LOOK_EVERY_MS = 250;
const EXIT_CODE = 130;

/** Calls `stop` once, and then ends this process. Returns what ends the watch. */
export function stopWhenInterrupted(stop: () => Promise<void>): () => void {
  const parent = process.ppid;
  let isOver = false;
  const interrupt = (why: string) => {
    if (isOver) return;
    isOver = true;
    process.stderr.write(`What was started is taken down: ${why}.\n`);
    void stop()
      .catch((error: unknown) => process.stderr.write(`${String(error)}\n`))
      .finally(() => process.exit(EXIT_CODE));
  };
  const look = setInterval(() => {
    if (process.ppid !== parent) interrupt('the runner of the tests is gone');
  }, LOOK_EVERY_MS);
  look.unref();
  // Nobody reads any more: that alone would end this process at its next word.
  const onBrokenPipe = () => interrupt('nobody reads its output');
  const ends: (() => void)[] = [() => clearInterval(look)];
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', onBrokenPipe);
    ends.push(() => stream.removeListener('error', onBrokenPipe));
  }
  for (const signal of SIGNALS) {
    const onSignal = () => interrupt(signal);
    process.on(signal, onSignal);
    ends.push(() => process.removeListener(signal, onSignal));
  }
  return () => {
    isOver = true;
    for (const end of ends) end();
  };
}
