// The generator that the native sampler draws from (MT19937 as in Matsumoto and Nishimura 1998), and its even draw from
// [0, 1) with 53 bits as the C++ library makes it: so that an answer that is sampled here is the one that the native sampler
// would have given. Never for secrets.

const WORDS = 624;
const SHIFT = 397;
const UPPER = 0x8000_0000;
const LOWER = 0x7fff_ffff;
const TWIST = 0x9908_b0df;

/** Even draws from [0, 1) for a seed of 32 bits. */
export function createTwister(seed: number): () => number {
  const state = seededState(seed);
  let at = WORDS;
  const next = () => {
    if (at >= WORDS) {
      twist(state);
      at = 0;
    }
    const word = temper(state[at] ?? 0);
    at += 1;
    return word;
  };
  return () => {
    const low = next();
    const drawn = (low + next() * 2 ** 32) / 2 ** 64;
    // Rounding can reach 1; the C++ library gives the number before it then.
    return drawn < 1 ? drawn : 1 - Number.EPSILON / 2;
  };
}

function seededState(seed: number): Uint32Array {
  const state = new Uint32Array(WORDS);
  state[0] = seed;
  for (let at = 1; at < WORDS; at += 1) {
    const before = state[at - 1] ?? 0;
    state[at] = Math.imul(1_812_433_253, before ^ (before >>> 30)) + at;
  }
  return state;
}

function twist(state: Uint32Array): void {
  for (let at = 0; at < WORDS; at += 1) {
    const joined = ((state[at] ?? 0) & UPPER) | ((state[(at + 1) % WORDS] ?? 0) & LOWER);
    const turned = (joined >>> 1) ^ (joined & 1 ? TWIST : 0);
    state[at] = (state[(at + SHIFT) % WORDS] ?? 0) ^ turned;
  }
}

function temper(word: number): number {
  let mixed = word ^ (word >>> 11);
  mixed ^= (mixed << 7) & 0x9d2c_5680;
  mixed ^= (mixed << 15) & 0xefc6_0000;
  return (mixed ^ (mixed >>> 18)) >>> 0;
}
