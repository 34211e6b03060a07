import type { Answer } from '../../src/api/contract.ts';
import { spanText } from './time.tsx';

type Demands = NonNullable<Answer<'images.channels'>['channels'][number]['policy']>;

/** What a channel demands, a word each; nothing where it demands nothing. */
export function DemandTags({ demands, by }: { demands: Demands | undefined; by: string }) {
  if (demands === undefined) return null;
  const { checks, approvals, after } = demands;
  const words = [
    ...checks,
    ...(approvals === 0 ? [] : [approvals === 1 ? '1 approval' : `${approvals} approvals`]),
    ...(after === undefined
      ? []
      : [`${after.heldMs === 0 ? 'after' : `${spanText(after.heldMs)} in`} ${after.channel}`]),
  ];
  return (
    <>
      {words.map((word) => (
        <span class="demand" key={word} title={`demanded by ${by}`}>
          {word}
        </span>
      ))}
    </>
  );
}
