// Fields of a request that an engine which is not ours would take and that no caller may set through Stoker: they reach other
// requests, other machines, files or code, or move a request around inside the engine. Pure data.
import type { ThirdPartyEngine } from './engine-arguments.ts';

export const refusedFields: Readonly<Record<ThirdPartyEngine, ReadonlySet<string>>> = {
  Vllm: new Set([
    // A template of the caller's own is code; vLLM leaves it to --trust-request-chat-template.
    'chat_template',
    // Where keys and values are fetched from and sent to.
    'kv_transfer_params',
    'mm_processor_kwargs',
    // The order of requests is Stoker's to decide.
    'priority',
    'prompt_embeds',
    // Two requests of one id end each other.
    'request_id',
    'vllm_xargs',
  ]),
  Sglang: new Set([
    // Hosts that the engine would connect to.
    'bootstrap_host',
    'bootstrap_port',
    'bootstrap_room',
    'chat_template',
    // Pickled code.
    'custom_logit_processor',
    'custom_params',
    'data_parallel_rank',
    'lora_path',
    'priority',
    'return_hidden_states',
    'rid',
    'session_params',
  ]),
  LlamaServer: new Set([
    // A place of the engine that another request may hold.
    'id_slot',
    'lora',
    // A grammar of the caller's own is compiled without a bound.
    'grammar',
  ]),
};
