/** Shows exactly what would be done before it is done. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { asKilnError, type KilnError } from '../../src/domain/errors.ts';
import { useLive, useLoaded } from '../live.ts';
import { Problem, Shown } from '../parts/shown.tsx';

export interface Wish {
  readonly component: string;
  readonly environment: string;
  readonly release?: number;
  readonly image?: string;
}

const PLAN_REFRESH_MS = 3_000;

export function DeployDialog({ wish, close }: { wish: Wish; close: () => void }) {
  const { client } = useLive();
  const dialog = useRef<HTMLDialogElement>(null);
  const [failure, setFailure] = useState<KilnError>();
  const [asked, setAsked] = useState(false);
  const plan = useLoaded(
    `plan ${JSON.stringify(wish)}`,
    (caller, signal) => caller.call('plan.show', { query: wish }, { signal }),
    PLAN_REFRESH_MS,
  );
  useEffect(() => dialog.current?.showModal(), []);
  const deploy = (): void => {
    setAsked(true);
    client.call('deployments.start', { body: wish }).then(close, (thrown) => {
      setFailure(asKilnError(thrown));
      setAsked(false);
    });
  };
  return (
    <dialog ref={dialog} onClose={close}>
      <h2>
        Deploy {wish.component} {wish.image ?? `release ${wish.release}`} to {wish.environment}
      </h2>
      {failure !== undefined && <Problem error={failure} />}
      <Shown loaded={plan}>
        {(value) => (
          <>
            {value.warnings.map((warning) => (
              <p class="warning" key={warning}>
                {warning}
              </p>
            ))}
            {value.unchanged ? (
              <p>Just this serves already: nothing would be done.</p>
            ) : (
              <>
                <Steps title={`${value.strategy}, in these steps`} steps={value.steps} />
                <Steps title="Afterwards" steps={value.afterwards} />
              </>
            )}
            <footer>
              <button type="button" class="quiet" onClick={() => dialog.current?.close()}>
                Leave it
              </button>
              <button type="button" disabled={value.unchanged || asked} onClick={deploy}>
                {asked ? 'Asked…' : 'Deploy'}
              </button>
            </footer>
          </>
        )}
      </Shown>
    </dialog>
  );
}

function Steps({ title, steps }: { title: string; steps: readonly { kind: string; text: string }[] }) {
  if (steps.length === 0) return null;
  return (
    <>
      <h3>{title}</h3>
      <ol class="steps">
        {steps.map((step, index) => (
          // A plan is shown as it is, in its order
          <li key={index}>{step.text}</li>
        ))}
      </ol>
    </>
  );
}
