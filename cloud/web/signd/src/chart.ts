// The arithmetic of the charts; `parts/Chart.vue` draws.
import type { Second } from './api/types'

/** A line of a chart: a value per place on the axis, or a gap. */
export interface Line { name: string; color: string; values: (number | undefined)[] }

/** Steps of a scale from `low` to `high` that people can read: 1, 2 or 5 times a power of ten. At least two. */
export function ticks(low: number, high: number, about = 4): number[] {
  const span = high - low
  if (!(span > 0)) return low === 0 ? [0, 1] : [Math.min(0, low), Math.max(0, low)]
  const raw = span / about
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw * 0.999) ?? raw
  const first = Math.floor(low / step)
  const last = Math.ceil(high / step - 1e-9)
  return Array.from({ length: last - first + 1 }, (_, n) => Number(((first + n) * step).toPrecision(12)))
}

/** An SVG path through values that are there; a gap ends it and begins it anew. A single value shows as a dot. */
export function path(values: (number | undefined)[], x: (at: number) => number, y: (value: number) => number): string {
  let out = ''
  let open = false
  values.forEach((value, at) => {
    if (value === undefined) {
      open = false
      return
    }
    const alone = !open && values[at + 1] === undefined
    out += `${open ? 'L' : 'M'}${x(at).toFixed(1)} ${y(value).toFixed(1)}${alone ? 'h.1' : ''}`
    open = true
  })
  return out
}

/** Which of these places is nearest. */
export function nearest(places: readonly number[], to: number): number | undefined {
  let best: number | undefined
  places.forEach((place, n) => { if (best === undefined || Math.abs(place - to) < Math.abs((places[best] ?? 0) - to)) best = n })
  return best
}

/** Seconds kept so far with newer ones in; what is older than `span` goes. The last second of an answer was still going on, so it is asked for again. */
export function merge(kept: ReadonlyMap<number, Second>, news: readonly Second[], now: number, span: number): Map<number, Second> {
  const all = new Map(kept)
  for (const second of news) all.set(second.at, second)
  for (const at of all.keys()) if (at <= now - span) all.delete(at)
  return all
}
/** From where to ask on. */
export function askFrom(kept: ReadonlyMap<number, Second>): number {
  return kept.size === 0 ? 0 : Math.max(...kept.keys()) - 2
}

/** Time divided into equal places: rate a second, refusals a second, median and 99th percentile in milliseconds. A place without any act has rate 0 and no latency. */
export function places(kept: ReadonlyMap<number, Second>, now: number, span: number, step: number): { at: number; done: number; refused: number; p50: number | undefined; p99: number | undefined }[] {
  const end = Math.floor(now / step) * step
  return Array.from({ length: Math.floor(span / step) }, (_, n) => {
    const at = end - span + n * step
    let done = 0
    let refused = 0
    let p50 = 0
    let p99 = 0
    for (let s = at; s < at + step; s += 1) {
      const second = kept.get(s)
      if (!second) continue
      done += second.done
      refused += second.refused
      // The slowest second of the place: a percentile of percentiles would hide it.
      p50 = Math.max(p50, second.p50_us)
      p99 = Math.max(p99, second.p99_us)
    }
    const any = done + refused > 0
    return { at, done: done / step, refused: refused / step, p50: any ? p50 / 1000 : undefined, p99: any ? p99 / 1000 : undefined }
  })
}

/** A number with as many digits as help. */
export function brief(value: number): string {
  const size = Math.abs(value)
  if (size >= 10_000) return `${Number((value / 10_000).toFixed(1))}万`
  return String(Number(value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2)))
}
