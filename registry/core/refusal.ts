// What the registry answers when it refuses: Confluent's error codes, whose first three digits are the HTTP status.
// Clients decide by these numbers, so they are the same as Confluent's; the messages name what was asked for.

export class Refusal extends Error {
  readonly errorCode: number

  constructor(errorCode: number, message: string) {
    super(message)
    this.name = 'Refusal'
    this.errorCode = errorCode
  }

  get status(): number {
    return Number(String(this.errorCode).slice(0, 3))
  }
}

export const subjectNotFound = (subject: string) => new Refusal(40401, `Subject '${subject}' not found.`)
export const versionNotFound = (version: string) => new Refusal(40402, `Version ${version} not found.`)
export const schemaNotFound = (id?: string) =>
  new Refusal(40403, id === undefined ? 'Schema not found' : `Schema ${id} not found`)
export const subjectSoftDeleted = (subject: string) =>
  new Refusal(40404, `Subject '${subject}' was soft deleted. Set permanent=true to delete permanently`)
export const subjectNotSoftDeleted = (subject: string) =>
  new Refusal(40405, `Subject '${subject}' was not deleted first before being permanently deleted`)
export const versionSoftDeleted = (subject: string, version: number) =>
  new Refusal(
    40406,
    `Subject '${subject}' Version ${version} was soft deleted. Set permanent=true to delete permanently`,
  )
export const versionNotSoftDeleted = (subject: string, version: number) =>
  new Refusal(40407, `Subject '${subject}' Version ${version} was not deleted first before being permanently deleted`)
export const configNotFound = (subject: string) =>
  new Refusal(40408, `Subject '${subject}' does not have subject-level compatibility configured`)
export const incompatible = (subject: string, reasons: readonly string[]) =>
  new Refusal(
    409,
    `Schema being registered is incompatible with an earlier schema for subject "${subject}", details: [${reasons.join('; ')}]`,
  )
export const invalidSchema = (why: string) => new Refusal(42201, `Invalid schema: ${why}`)
export const invalidVersion = (version: string) =>
  new Refusal(
    42202,
    `The specified version '${version}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string "latest"`,
  )
export const invalidLevel = () =>
  new Refusal(
    42203,
    'Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive',
  )
export const readOnly = (subject: string) => new Refusal(42205, `Subject ${subject} is in read-only mode`)
export const invalidSubject = (subject: string) =>
  new Refusal(
    42208,
    `The subject '${subject.slice(0, 64)}' is not valid: 1 to 255 characters, no control characters, not "." or ".."`,
  )
export const schemaTooLarge = (chars: number, charsMax: number) =>
  new Refusal(42209, `The schema has ${chars} characters; ${charsMax} are allowed`)
export const storeFailed = (why: string) => new Refusal(50001, `Register operation failed: ${why}`)
