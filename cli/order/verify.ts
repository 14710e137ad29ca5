// `plumbline order verify`: reads the whole retained order and checks that it is consistent. With --deep every extent's
// readings are read as well: the reader itself refuses what does not fit.
import { OrderCheck } from '../../platform/order/check.ts'
import type { OrderReader } from '../../platform/order/order-reader.ts'
import { count } from '../../deploy/stack/core/panel.ts'
import { OrderError } from '../../platform/order/errors.ts'

export async function verifyOrder(reader: OrderReader, deep: boolean, signal: AbortSignal): Promise<void> {
  const check = new OrderCheck()
  const { start, end } = await reader.log.range()
  await reader.log.scan(start, end, (record) => {
    const finding = check.add(record)
    if (finding !== null) throw new OrderError(finding.fault, `the order is inconsistent: ${finding.detail}`)
    return !signal.aborted
  })
  if (signal.aborted) return void process.stderr.write('interrupted: the rest was not checked\n')
  const { first, next, records } = check
  if (first === null || next === null) return void process.stdout.write('no reading has a place in the order yet\n')
  process.stdout.write(
    `gapless: ${count(check.count)} readings in ${count(records)} extents, sequences ${first} to ${next - 1}\n` +
      'this is the order alone: plumbline audit compares it with the extents and with telemetry.clean\n',
  )
  if (deep) await readAll(reader, first, next, signal)
}

async function readAll(reader: OrderReader, first: number, next: number, signal: AbortSignal): Promise<void> {
  const from = (await reader.firstSequence()) ?? next
  if (from > first)
    process.stdout.write(`retention has removed readings from clean; from sequence ${from} on all of them are there\n`)
  const reached = await reader.read(from, next - from, () => undefined, signal)
  if (signal.aborted) return void process.stderr.write('interrupted: the rest was not read\n')
  process.stdout.write(`read: ${count(reached - from)} readings, each where the order says\n`)
}
