// Why a simulation cannot be set up as asked: one sentence with the figures that contradict each other.

export class SetupError extends Error {
  override readonly name = 'SetupError';
}
