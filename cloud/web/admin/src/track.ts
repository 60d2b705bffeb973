// Where a nurse was while a recording ran: positions of her phone on the hospital's time, drawn without a map.
import type { TrackPosition } from '@yiqiao/kit/api/types'

/** A place of the drawing; `x` to the east, `y` to the south. */
export interface Point { x: number; y: number }
/** A drawn track. */
export interface Drawing { points: Point[]; metres: number; unit: number; width: number; height: number }
const WIDTH = 320
const HEIGHT = 220
const MARGIN = 18
/** Metres of a degree of latitude. */
const DEGREE = 111_320
/** Less than this is where a phone believes itself by chance. */
const LEAST_M = 60
/** Nobody knows where she was when the phone was silent for longer. */
const SILENT_MS = 120_000

export const timeOf = (p: TrackPosition) => new Date(p.at).getTime()

/** Positions as points of one scale, north up. */
export function draw(positions: readonly TrackPosition[]): Drawing {
  const first = positions[0]
  if (!first) return { points: [], metres: 0, unit: 1, width: WIDTH, height: HEIGHT }
  const east = Math.cos((first.latitude * Math.PI) / 180) * DEGREE
  const flat = positions.map((p) => ({ x: (p.longitude - first.longitude) * east, y: (first.latitude - p.latitude) * DEGREE }))
  const range = (of: (p: Point) => number) => flat.reduce(([low, high], p) => [Math.min(low, of(p)), Math.max(high, of(p))] as const, [0, 0] as readonly [number, number])
  const [x, y] = [range((p) => p.x), range((p) => p.y)]
  const unit = Math.min((WIDTH - 2 * MARGIN) / Math.max(LEAST_M, x[1] - x[0]), (HEIGHT - 2 * MARGIN) / Math.max(LEAST_M, y[1] - y[0]))
  const metres = flat.slice(1).reduce((sum, p, i) => sum + Math.hypot(p.x - (flat[i]?.x ?? 0), p.y - (flat[i]?.y ?? 0)), 0)
  const points = flat.map((p) => ({ x: WIDTH / 2 + (p.x - (x[0] + x[1]) / 2) * unit, y: HEIGHT / 2 + (p.y - (y[0] + y[1]) / 2) * unit }))
  return { points, metres, unit, width: WIDTH, height: HEIGHT }
}

/** The place at a moment, between the two positions about it; undefined while the phone was silent. */
export function placeAt(positions: readonly TrackPosition[], drawing: Drawing, ms: number): (Point & { near: number }) | undefined {
  const after = positions.findIndex((p) => timeOf(p) >= ms)
  const [b, q] = [positions[after], drawing.points[after]]
  const [a, p] = [positions[after - 1], drawing.points[after - 1]]
  if (!b || !q) {
    const last = positions.at(-1)
    const point = drawing.points.at(-1)
    return last && point && ms - timeOf(last) < SILENT_MS / 4 ? { ...point, near: positions.length - 1 } : undefined
  }
  if (!a || !p) return timeOf(b) - ms < SILENT_MS / 4 ? { ...q, near: after } : undefined
  const whole = timeOf(b) - timeOf(a)
  if (whole > SILENT_MS) return undefined
  const part = whole ? (ms - timeOf(a)) / whole : 1
  return { x: p.x + (q.x - p.x) * part, y: p.y + (q.y - p.y) * part, near: part < 0.5 ? after - 1 : after }
}

/** A round length that fits beside the drawing, for its scale. */
export function scale(unit: number): { metres: number; width: number } {
  const most = 110 / unit
  const metres = [5000, 2000, 1000, 500, 200, 100, 50, 20, 10, 5].find((m) => m <= most) ?? 5
  return { metres, width: metres * unit }
}

/** What of the positions a list shows: the first of each minute. */
export function eachMinute(positions: readonly TrackPosition[]): { index: number; position: TrackPosition }[] {
  let minute = -1
  return positions.flatMap((position, index) => {
    const own = Math.floor(timeOf(position) / 60_000)
    if (own === minute) return []
    minute = own
    return [{ index, position }]
  })
}
