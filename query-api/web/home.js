// Refreshes the counters once a second. The rate is taken between two answers' own times.
const at = (id) => document.getElementById(id)
const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
let before = null

async function refresh() {
  try {
    const response = await fetch('/status', { cache: 'no-store' })
    const status = await response.json()
    if (!response.ok) throw new Error(status.detail)
    for (const name of ['readings', 'sensors', 'anomalies']) at(name).textContent = whole.format(status[name])
    at('staleness').textContent = `${whole.format(status.staleness_ms)} ms`
    if (before !== null && status.as_of > before.as_of) {
      at('rate').textContent = whole.format(
        ((status.readings - before.readings) * 1000) / (status.as_of - before.as_of),
      )
    }
    before = status
    at('state').textContent = ''
  } catch (error) {
    at('state').textContent = error.message
  }
  setTimeout(refresh, 1000)
}

refresh()
