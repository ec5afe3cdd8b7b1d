// The command lines of engines that are not ours: what a launch becomes, what is never there, and which arguments pass.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  argumentPattern,
  argumentValue,
  engineArgumentSchema,
  engineArguments,
  refuseArguments,
  thirdPartyEngines,
} from '../../../../src/api/engine-arguments.ts';
import { launchSchema } from '../../../../src/api/link.ts';
import { llamaServerCommand } from '../../../../src/engine/llama-server/command.ts';
import { sglangCommand } from '../../../../src/engine/sglang/command.ts';
import { selectVariables } from '../../../../src/engine/third-party/variables.ts';
import { vllmCommand } from '../../../../src/engine/vllm/command.ts';

const at = { host: '127.0.0.1', port: 20_001, key: 'k'.repeat(64) };
const frame = {
  servedName: 'big/model',
  revision: 'big-0123456789',
  contextLength: 8192,
  concurrency: 16,
  sleep: 'Level1',
  drainMs: 1000,
  args: [] as string[],
  weightsPath: '/weights/big',
  weightsSizeBytes: 10,
  weightsSha256: 'a'.repeat(64),
} as const;
const vllm = { engine: 'Vllm', ...frame } as const;
const sglang = { engine: 'Sglang', ...frame } as const;
const llamaServer = { engine: 'LlamaServer', ...frame } as const;

describe('the command of vLLM', () => {
  test('names, sizes, and a folder whose own sampling defaults do not count', () => {
    const { command, args, variables } = vllmCommand({ ...vllm, kvCacheBytes: 5_000_000_000 }, at);
    assert.equal(command, 'vllm');
    assert.deepEqual(args.slice(0, 2), ['serve', '/weights/big']);
    for (const wanted of [
      '--host=127.0.0.1',
      '--port=20001',
      '--served-model-name=big/model',
      '--max-model-len=8192',
      '--max-num-seqs=16',
      '--generation-config=vllm',
      '--kv-cache-memory-bytes=5000000000',
      '--enable-sleep-mode',
    ]) {
      assert.ok(args.includes(wanted), wanted);
    }
    assert.equal(variables.VLLM_SERVER_DEV_MODE, '1');
    assert.equal(variables.HF_HUB_OFFLINE, '1');
  });

  test('the key is in no argument', () => {
    const { args, variables } = vllmCommand(vllm, at);
    assert.ok(!args.join(' ').includes(at.key));
    assert.equal(variables.VLLM_API_KEY, at.key);
  });

  test('who never sleeps gets no development endpoints', () => {
    const { args, variables } = vllmCommand({ ...vllm, sleep: 'Never' }, at);
    assert.ok(!args.includes('--enable-sleep-mode'));
    assert.equal(variables.VLLM_SERVER_DEV_MODE, undefined);
  });

  test('sampling defaults and arguments of the version come last', () => {
    const sampling = { temperature: '0.7', topP: '0.95', topK: 20 };
    const { args } = vllmCommand({ ...vllm, sampling, args: ['--dtype=bfloat16', '--enforce-eager'] }, at);
    assert.ok(args.includes('--override-generation-config={"temperature":0.7,"top_p":0.95,"top_k":20}'));
    assert.deepEqual(args.slice(-2), ['--dtype=bfloat16', '--enforce-eager']);
  });
});

describe('the command of SGLang', () => {
  test('a copy in memory for level 1, none for level 2, no memory saver for who never sleeps', () => {
    const flags = (sleep: 'Level1' | 'Level2' | 'Never') =>
      sglangCommand({ ...sglang, sleep }, at).args.filter((arg) => /saver|backup/.test(arg));
    assert.deepEqual(flags('Level1'), ['--enable-memory-saver', '--enable-weights-cpu-backup']);
    assert.deepEqual(flags('Level2'), ['--enable-memory-saver']);
    assert.deepEqual(flags('Never'), []);
  });

  test('its health check computes nothing, its figures are on', () => {
    const { command, args, variables } = sglangCommand({ ...sglang, kvTokens: 100_000, staticPermille: 812 }, at);
    assert.deepEqual([command, ...args.slice(0, 2)], ['python3', '-m', 'sglang.launch_server']);
    assert.equal(variables.SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION, 'false');
    for (const wanted of [
      '--enable-metrics',
      '--max-total-tokens=100000',
      '--mem-fraction-static=0.812',
      '--sampling-defaults=openai',
      '--context-length=8192',
    ]) {
      assert.ok(args.includes(wanted), wanted);
    }
  });
});

describe('the command of llama-server', () => {
  test('the context is that of all places, and values stand on their own', () => {
    const launch = { ...llamaServer, args: ['--n-gpu-layers=all', '--mlock'], sampling: { temperature: '0.2' } };
    const { command, args, variables } = llamaServerCommand(launch, at, { PATH: '/bin' });
    const after = (flag: string) => args[args.indexOf(flag) + 1];
    assert.equal(command, 'llama-server');
    assert.equal(after('--ctx-size'), String(8192 * 16));
    assert.equal(after('--parallel'), '16');
    assert.equal(after('--alias'), 'big/model');
    assert.equal(after('--temp'), '0.2');
    assert.deepEqual(args.slice(-3), ['--n-gpu-layers', 'all', '--mlock']);
    assert.ok(!args.join(' ').includes(at.key));
    assert.deepEqual(variables, { LLAMA_API_KEY: at.key, PATH: '/bin:/app' });
  });
});

describe('arguments of a version', () => {
  const dangerous = [
    '--api-key=x',
    '--port=1',
    '--host=0.0.0.0',
    '--trust-remote-code',
    '--chat-template=/etc/passwd',
    '--model=/other',
    '--served-model-name=x',
    '--enable-lora',
    '--tools=all',
    '--middleware=evil.module',
    '--ssl-keyfile=x',
    '--uds=x',
    '--dist-init-addr=1.2.3.4:5',
    '--rpc=1.2.3.4:5',
  ];
  for (const engine of thirdPartyEngines) {
    test(`${engine} refuses what opens files, addresses or code, and what Stoker sets`, () => {
      const allowed = dangerous.filter(
        (argument) =>
          engineArgumentSchema.safeParse(argument).success && refuseArguments(engine, [argument]) === undefined,
      );
      assert.deepEqual(allowed, []);
    });

    test(`the pattern of ${engine} and the sentence agree`, () => {
      const pattern = new RegExp(argumentPattern(engine));
      const flag = fc.constantFrom(...Object.keys(engineArguments[engine]), 'port', 'x');
      const value = fc.oneof(
        fc.constant(''),
        fc.stringMatching(/^=[A-Za-z0-9_.,:+-]{0,9}$/),
        fc.string({ maxLength: 9 }),
      );
      fc.assert(
        fc.property(flag, value, (name, given) => {
          const argument = `--${name}${given}`;
          assert.equal(refuseArguments(engine, [argument]) === undefined, pattern.test(argument), argument);
        }),
      );
    });
  }

  test('each refusal names the argument and what it lacks', () => {
    assert.equal(refuseArguments('Vllm', ['--dtype=bfloat16', '--enforce-eager']), undefined);
    assert.equal(refuseArguments('Vllm', ['--dtype=bfloat16', '--dtype=float16']), '--dtype is there twice.');
    assert.equal(refuseArguments('Vllm', ['--port=1']), '--port is not an argument that Vllm may be given here.');
    assert.equal(refuseArguments('Vllm', ['--enforce-eager=1']), '--enforce-eager takes no value.');
    assert.equal(refuseArguments('Vllm', ['--block-size=big']), '--block-size needs a whole number after =.');
    assert.equal(
      refuseArguments('Sglang', ['--mem-fraction-static=2']),
      '--mem-fraction-static needs a share such as 0.85 after =.',
    );
    assert.equal(
      refuseArguments('LlamaServer', ['--tensor-split=a']),
      '--tensor-split needs numbers with commas after =.',
    );
    assert.equal(
      refuseArguments('Vllm', ['--constructor=1']),
      '--constructor is not an argument that Vllm may be given here.',
    );
  });

  test('a value is found by its flag, not by a flag that begins alike', () => {
    const args = ['--kv-cache-dtype=fp8', '--enforce-eager'];
    assert.equal(argumentValue(args, 'kv-cache-dtype'), 'fp8');
    assert.equal(argumentValue(args, 'kv-cache'), undefined);
    assert.equal(argumentValue(args, 'enforce-eager'), '');
  });

  test('a launch with a path in an argument is no launch', () => {
    assert.equal(launchSchema.safeParse({ ...vllm, args: ['--dtype=bfloat16'] }).success, true);
    for (const argument of ['--chat-template=/etc/passwd', '-x', '--a b', '--x={"a":1}', '--X', '--a=', '']) {
      assert.equal(launchSchema.safeParse({ ...vllm, args: [argument] }).success, false, argument);
    }
  });
});

test('an engine sees libraries, caches and devices of our environment, and no secret', () => {
  const environment = {
    CUDA_VISIBLE_DEVICES: '0',
    VLLM_CACHE_ROOT: '/cache',
    VLLM_API_KEY: 'x',
    HF_TOKEN: 'x',
    HF_HOME: '/hf',
    SGLANG_ADMIN_TOKEN: 'x',
    NCCL_DEBUG: 'INFO',
    STOKER_LINK_URL: 'ws://x',
    HTTPS_PROXY: 'http://x',
    LLAMA_ARG_HOST: '0.0.0.0',
    TRITON_CACHE_DIR: undefined,
  };
  assert.deepEqual(selectVariables(environment), {
    CUDA_VISIBLE_DEVICES: '0',
    VLLM_CACHE_ROOT: '/cache',
    HF_HOME: '/hf',
    NCCL_DEBUG: 'INFO',
  });
});
