/** What a target tells its operator; pino's loggers fit. */
export interface TargetLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}
