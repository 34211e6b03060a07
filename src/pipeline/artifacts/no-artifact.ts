/** Said where an artifact is not found, whoever wanted it. */
export function noArtifact(digest: string): string {
  return `There is no artifact ${digest} any more, or it is on another server: where no bucket is set (artifacts.s3 in settings.yaml), each keeps its own.`;
}
