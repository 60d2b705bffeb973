import { describe, expect, it } from 'vitest'
import { draw, eachMinute, placeAt, scale, timeOf } from '../src/track'

const at = (second: number, latitude: number, longitude: number) => ({ at: new Date(Date.UTC(2026, 10, 21, 1, 0, second)).toISOString(), latitude, longitude, accuracy_m: 8 })
// A street to the north, then one to the east, then silence, then back.
const way = [at(0, 26, 111), at(30, 26.001, 111), at(60, 26.001, 111.001), at(400, 26, 111)]

describe('a track', () => {
  it('is drawn north up, to one scale, within its frame', () => {
    const drawing = draw(way)
    const [a, b, c] = drawing.points
    expect(b!.y).toBeLessThan(a!.y)
    expect(b!.x).toBeCloseTo(a!.x)
    expect(c!.x).toBeGreaterThan(b!.x)
    for (const p of drawing.points) expect(p.x >= 0 && p.x <= drawing.width && p.y >= 0 && p.y <= drawing.height).toBe(true)
    // A degree of longitude is shorter than one of latitude here.
    expect(c!.x - b!.x).toBeCloseTo((a!.y - b!.y) * Math.cos((26 * Math.PI) / 180))
    expect(Math.round(drawing.metres / 10) * 10).toBe(360)
    const { metres, width } = scale(drawing.unit)
    expect(width).toBeCloseTo(metres * drawing.unit)
    expect(width).toBeLessThanOrEqual(110)
  })
  it('knows the place between two positions, and none while the phone was silent or before and after', () => {
    const drawing = draw(way)
    const start = timeOf(way[0]!)
    const [a, b] = drawing.points
    expect(placeAt(way, drawing, start + 15_000)).toMatchObject({ x: (a!.x + b!.x) / 2, y: (a!.y + b!.y) / 2 })
    expect(placeAt(way, drawing, start + 60_000)?.near).toBe(2)
    expect(placeAt(way, drawing, start + 200_000)).toBeUndefined()
    expect(placeAt(way, drawing, start - 3_600_000)).toBeUndefined()
    expect(placeAt(way, drawing, start + 3_600_000)).toBeUndefined()
    expect(placeAt([], draw([]), start)).toBeUndefined()
  })
  it('stands still where it stands still, and is listed minute by minute', () => {
    const still = draw([at(0, 26, 111), at(10, 26.00001, 111)])
    expect(Math.abs(still.points[0]!.y - still.points[1]!.y)).toBeLessThan(5)
    expect(eachMinute(way).map((p) => p.index)).toEqual([0, 2, 3])
  })
})
