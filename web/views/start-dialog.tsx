/** Starts a pipeline: first where it is, then what it asks for, each as its type and its values say. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { placeOf } from '../place.ts';
import { type Chosen, StartParameters } from './start-parameters.tsx';
import { StartPlace } from './start-place.tsx';

export function StartDialog({ close }: { close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [chosen, setChosen] = useState<Chosen>();
  useEffect(() => dialog.current?.showModal(), []);
  const leave = () => dialog.current?.close();
  const show = (execution: string) => {
    location.hash = placeOf('executions', execution);
  };
  return (
    <dialog ref={dialog} class="start" onClose={close}>
      <h2>Start {chosen === undefined ? 'a pipeline' : `the pipeline of ${chosen.component}`}</h2>
      {/* Hidden and not gone: whoever goes back finds what was typed. */}
      <div hidden={chosen !== undefined}>
        <StartPlace choose={setChosen} leave={leave} />
      </div>
      {chosen !== undefined && (
        <StartParameters chosen={chosen} back={() => setChosen(undefined)} started={show} />
      )}
    </dialog>
  );
}
