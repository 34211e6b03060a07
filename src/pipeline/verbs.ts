/** What the tasks of Kiln's own verbs need of Kiln. Each is safe to ask again with the same key. */
import type { Json } from './asl/json.ts';
import type { TaskCall } from './task.ts';

export interface Verbs {
  bake(
    wish: {
      readonly directory: string;
      readonly version?: string | undefined;
      /** It fails when the image is of another kind. */
      readonly kind?: 'container';
    },
    call: TaskCall,
    signal: AbortSignal,
  ): Promise<Json>;
  check(
    wish: { readonly image: string } | { readonly component: string; readonly environment: string },
    call: TaskCall,
    signal: AbortSignal,
  ): Promise<Json>;
  promote(wish: { readonly image: string; readonly channel: string }, call: TaskCall): Promise<Json>;
  snapshot(wish: {
    readonly channel: string;
    readonly components?: readonly string[] | undefined;
    readonly environment?: string | undefined;
  }): Promise<Json>;
  scan(wish: { readonly image: string }, call: TaskCall, signal: AbortSignal): Promise<Json>;
  push(
    wish: { readonly image: string; readonly to: string },
    call: TaskCall,
    signal: AbortSignal,
  ): Promise<Json>;
  deploy(
    wish: { readonly component: string; readonly environment: string; readonly image?: string | undefined },
    call: TaskCall,
    signal: AbortSignal,
  ): Promise<Json>;
  rollback(
    wish: { readonly component: string; readonly environment: string; readonly to?: number | undefined },
    call: TaskCall,
    signal: AbortSignal,
  ): Promise<Json>;
}
