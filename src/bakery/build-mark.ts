import type { Mark } from '../processes/marked-processes.ts';

/** Borne by every process of a build. */
export const BUILD_MARK: Mark = { variable: 'KILN_BUILD', of: 'a build' };
