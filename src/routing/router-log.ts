/** What a driver reports of its router's life; pino's loggers fit. */
export interface RouterLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}
