// Loads a module of the status page, which is plain JavaScript for browsers, as the tests see it.

interface SseItem {
  kind: 'comment' | 'data';
  text: string;
}

interface StreamOptions {
  model: string;
  messages: readonly { role: string; content: string }[];
  key: string;
  signal: AbortSignal;
  on: { progress(text: string): void; content(text: string): void };
}

interface PageModules {
  'sse.js': { LINE_CHARS_MAX: number; createSseReader(): { push(bytes: Uint8Array): SseItem[] } };
  'models.js': {
    renderMs(ms: number): string;
    renderReadyIn(model: { awake: number; etaMs: number; failure?: object }): string;
    renderSummary(status: { ready: boolean; models: { awake: number; queued: number; inFlight: number }[] }): string;
  };
  'chat.js': {
    streamAnswer(options: StreamOptions): Promise<{ finishReason?: string; usage?: { completion_tokens: number } }>;
    renderEnd(
      answer: { finishReason?: string; usage?: { completion_tokens: number } },
      times: { askedMs: number; firstMs?: number; endMs?: number },
    ): string;
  };
}

export async function loadPageModule<Name extends keyof PageModules>(name: Name): Promise<PageModules[Name]> {
  const url = new URL(`../../src/router/admin/page/${name}`, import.meta.url);
  return import(url.href);
}
