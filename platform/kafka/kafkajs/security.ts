// How the client proves who it is and whom it trusts (MI-11): the TLS files and the SASL settings as kafkajs wants
// them, and the monitoring of its handshakes. kafkajs takes a refused certificate for a lost connection, retries for a
// quarter of a minute, then names neither cause nor remedy; but waiting fixes no certificate and no password. Such a
// refusal ends the call at once with a ConfigError that names the variable to look at.
import { readFileSync } from 'node:fs'
import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectTls, createSecureContext } from 'node:tls'
import type { ISocketFactory, KafkaConfig, SASLOptions } from 'kafkajs'
import type { Config } from '../../config.ts'
import { ConfigError, messageOf } from '../../errors.ts'

export type SecuritySettings = Pick<
  Config,
  | 'KAFKA_TLS_CA_FILE'
  | 'KAFKA_TLS_CERT_FILE'
  | 'KAFKA_TLS_KEY_FILE'
  | 'KAFKA_SASL_MECHANISM'
  | 'KAFKA_SASL_USERNAME'
  | 'KAFKA_SASL_PASSWORD'
>

/** As kafkajs's own. */
const KEEP_ALIVE_MS = 60_000
/** How a TLS record with an alert begins; as the size of an answer of Kafka's it would be 350 MB. */
const TLS_ALERT = Buffer.from([0x15, 0x03])

/** @throws ConfigError naming the variable whose file cannot be read or used */
export function tlsOf(settings: SecuritySettings): KafkaConfig['ssl'] {
  const ca = readPem('KAFKA_TLS_CA_FILE', settings)
  const cert = readPem('KAFKA_TLS_CERT_FILE', settings)
  const key = readPem('KAFKA_TLS_KEY_FILE', settings)
  if (ca === undefined && cert === undefined) return undefined
  // Each on its own first, so that the message can say which one is at fault.
  for (const [name, part] of Object.entries({ KAFKA_TLS_CA_FILE: { ca }, KAFKA_TLS_CERT_FILE: { cert, key } })) {
    try {
      createSecureContext(part)
    } catch (error) {
      const which = name === 'KAFKA_TLS_CERT_FILE' ? `${name} and KAFKA_TLS_KEY_FILE` : name
      const wanted = name === 'KAFKA_TLS_CERT_FILE' ? 'a certificate and its unencrypted key' : 'certificates'
      throw new ConfigError(`${which}: expected ${wanted} in PEM: ${messageOf(error)}`)
    }
  }
  return { ca, cert, key, minVersion: 'TLSv1.2' }
}

function readPem(
  name: 'KAFKA_TLS_CA_FILE' | 'KAFKA_TLS_CERT_FILE' | 'KAFKA_TLS_KEY_FILE',
  settings: SecuritySettings,
): string | undefined {
  const path = settings[name]
  if (path === undefined) return undefined
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new ConfigError(`${name}: the file cannot be read: ${messageOf(error)}`)
  }
  // Node takes text without a certificate for an empty list of authorities, and would then trust nobody.
  if (!text.includes('-----BEGIN ')) throw new ConfigError(`${name}: ${path} holds no PEM`)
  return text
}

/** Undefined without a mechanism; loadConfig ensures that user and password come with one. */
export function saslOf({
  KAFKA_SASL_MECHANISM: mechanism,
  KAFKA_SASL_USERNAME: username,
  KAFKA_SASL_PASSWORD: password,
}: SecuritySettings): SASLOptions | undefined {
  if (mechanism === undefined || username === undefined || password === undefined) return undefined
  return { mechanism, username, password } as SASLOptions
}

/** Creates the client's sockets, and fails pending calls when we do not trust the peer or it refuses us. */
export class HandshakeWatch {
  readonly #underWay = new Set<(refusal: ConfigError) => void>()

  readonly socketFactory: ISocketFactory = ({ host, port, ssl, onConnect }) => {
    const socket: Socket = ssl
      ? connectTls({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}), ...ssl }, onConnect)
      : connectPlain({ host, port }, onConnect)
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    socket.on('error', (error) => this.#refused(handshakeRefusal(error, `${host}:${port}`)))
    if (!ssl)
      socket.once('data', (first: Buffer) => {
        if (TLS_ALERT.equals(first.subarray(0, TLS_ALERT.length)))
          this.#refused(new ConfigError(`the broker at ${host}:${port} wants TLS: set KAFKA_TLS_CA_FILE`))
      })
    return socket
  }

  /** Runs a client call; rejects with ConfigError as soon as a handshake is refused meanwhile. */
  async guard<T>(call: () => Promise<T>): Promise<T> {
    let refuse: (refusal: ConfigError) => void = () => {}
    const refused = new Promise<never>((_resolve, reject) => {
      refuse = reject
    })
    this.#underWay.add(refuse)
    try {
      return await Promise.race([call(), refused])
    } finally {
      this.#underWay.delete(refuse)
    }
  }

  #refused(refusal: ConfigError | null): void {
    if (refusal !== null) for (const refuse of this.#underWay) refuse(refusal)
  }
}

const UNTRUSTED = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
])
const OUT_OF_DATE = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID'])

/** What to do about a socket error, or null if it may be transient. */
export function handshakeRefusal(error: NodeJS.ErrnoException, broker: string): ConfigError | null {
  const code = error.code ?? ''
  // OpenSSL's reason is a few words; its message is full of numbers, and Node's may continue with advice of its own.
  const said = `(${(error as { reason?: string }).reason ?? error.message.split(';')[0]})`
  if (UNTRUSTED.has(code))
    return new ConfigError(
      `the broker at ${broker} shows a certificate that none of the authorities in KAFKA_TLS_CA_FILE has signed ${said}: ` +
        'set KAFKA_TLS_CA_FILE to the PEM file of the authority that signed it',
    )
  if (OUT_OF_DATE.has(code))
    return new ConfigError(
      `the certificate of the broker at ${broker} is out of date ${said}: renew it, or set this machine's clock`,
    )
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return new ConfigError(
      `the certificate of the broker at ${broker} is for another name ${said}: name the broker in KAFKA_BROKERS as its certificate does`,
    )
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG')
    return new ConfigError(
      `the broker at ${broker} does not speak TLS on this port ${said}: unset KAFKA_TLS_*, or use its TLS port`,
    )
  // Any alert during the handshake: the broker has rejected our credentials.
  if (/^ERR_SSL_.*ALERT/.test(code))
    return new ConfigError(
      `the broker at ${broker} refuses the TLS handshake ${said}: it may want a client certificate that it trusts, in KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE`,
    )
  return null
}
