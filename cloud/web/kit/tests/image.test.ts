import { describe, expect, it } from 'vitest'
import { doubtOf, judge } from '../src/image'

const WIDTH = 64
function grey(at: (x: number, y: number) => number): Uint8ClampedArray {
  return Uint8ClampedArray.from({ length: WIDTH * WIDTH }, (_, i) => at(i % WIDTH, Math.floor(i / WIDTH)))
}
const say = (picture: Uint8ClampedArray) => doubtOf(1200, 900, judge(picture, WIDTH, WIDTH))

describe('quality of a photo', () => {
  it('is not doubted when it is lit and sharp', () => {
    expect(say(grey((x, y) => ((x >> 2) + (y >> 2)) % 2 ? 210 : 60))).toBeUndefined()
  })
  it('is doubted when it is dark, glaring, blurred or tiny', () => {
    expect(say(grey((x) => 10 + (x % 8) * 4))).toContain('偏暗')
    expect(say(grey((x) => 250 + (x % 2) * 5))).toContain('过亮')
    expect(say(grey((x) => 100 + x))).toContain('模糊')
    expect(doubtOf(200, 200, { brightness: 120, sharpness: 900 })).toContain('太小')
  })
})
