// Structured logs by pino, one JSON object per line on standard error: standard output is for what commands print.
import pino, { type Logger } from 'pino'

export type { Logger }

/** @param level least level that is logged */
export function createLog(room: string, level: string): Logger {
  return pino(
    {
      name: room,
      level,
      base: { room, pid: process.pid },
      redact: ['*.password', '*.token', 'password', 'token', '*.authorization', 'headers.authorization'],
      serializers: { err: pino.stdSerializers.errWithCause },
    },
    pino.destination({ dest: 2, sync: false }),
  )
}
