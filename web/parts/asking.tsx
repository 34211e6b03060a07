/** What the forms of the page have in common: a question at a time, and what is wrong with it at its field. */
import type { ComponentChildren } from 'preact';
import { useId, useState } from 'preact/hooks';
import { asKilnError, type Fault, type KilnError } from '../../src/domain/errors.ts';

export interface Asking {
  readonly failure: KilnError | undefined;
  /** True: it is under way. */
  readonly asked: boolean;
  readonly ask: (work: () => Promise<void>) => void;
}

/** One question at a time; what it fails of stands until the next. */
export function useAsking(): Asking {
  const [failure, setFailure] = useState<KilnError>();
  const [asked, setAsked] = useState(false);
  const ask = (work: () => Promise<void>): void => {
    setAsked(true);
    setFailure(undefined);
    work()
      .catch((thrown: unknown) => setFailure(asKilnError(thrown)))
      .finally(() => setAsked(false));
  };
  return { failure, asked, ask };
}

export function faultOf(failure: KilnError | undefined, path: string): Fault | undefined {
  return failure?.faults.find((fault) => fault.path === path);
}

export interface Control {
  readonly id: string;
  readonly name: string;
  readonly 'aria-invalid': boolean;
  readonly 'aria-describedby': string;
}

/** A field under its name, with what is wrong with it. */
export function AskedField(props: {
  name: string;
  label: string;
  required: boolean;
  fault: Fault | undefined;
  hint?: ComponentChildren;
  children: (control: Control) => ComponentChildren;
}) {
  const { name, label, required, fault, hint, children } = props;
  const id = useId();
  const about = `${id}-about`;
  const control = { id, name, 'aria-invalid': fault !== undefined, 'aria-describedby': about };
  return (
    <div class={fault === undefined ? 'asked' : 'asked faulty'}>
      <label for={id}>
        <b>{label}</b>
      </label>
      {required && <small class="needed">required</small>}
      {children(control)}
      <span class="faint" id={about}>
        {fault !== undefined && <strong class="fault">{faultText(fault)}</strong>}
        {hint}
      </span>
    </div>
  );
}

function faultText({ message, found, expected, didYouMean }: Fault): string {
  const what = found === undefined ? message : `${found} ${message}`;
  if (didYouMean !== undefined) return `${what}: did you mean ${didYouMean}?`;
  return expected === undefined ? what : `${what}: give ${expected}`;
}
