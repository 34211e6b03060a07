import type { ComponentChildren } from 'preact';
import type { KilnError } from '../../src/domain/errors.ts';
import type { Loaded } from '../live.ts';

/** What was loaded; that it is not there yet, or that asking for it failed, never looks like "none". */
export function Shown<Value>(props: {
  loaded: Loaded<Value>;
  children: (value: Value) => ComponentChildren;
}) {
  const { loaded, children } = props;
  if (loaded.kind === 'loading') return <p class="loading">Loading…</p>;
  if (loaded.kind === 'ready') return <>{children(loaded.value)}</>;
  return (
    <>
      <Problem error={loaded.error} />
      {loaded.value !== undefined && <div class="stale">{children(loaded.value)}</div>}
    </>
  );
}

/** `elsewhere`: paths whose faults are shown where they stand. */
export function Problem({ error, elsewhere = [] }: { error: KilnError; elsewhere?: readonly string[] }) {
  const faults = error.faults.filter(({ path }) => !elsewhere.includes(path));
  const isElsewhere = error.faults.length > 0 && faults.length === 0;
  if (isElsewhere) {
    return (
      <p class="fault" role="alert">
        {error.message}
      </p>
    );
  }
  return (
    <div class="problem" role="alert">
      <strong>{error.message}</strong> <code>{error.code}</code>
      {faults.map((fault) => (
        <p key={fault.path + fault.message}>
          {fault.path} {fault.message}
        </p>
      ))}
      {error.next !== undefined && <p>{error.next}</p>}
    </div>
  );
}
