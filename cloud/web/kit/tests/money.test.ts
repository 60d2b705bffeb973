import { describe, expect, it } from 'vitest'
import { price, yuan } from '../src/money'

describe('money', () => {
  it('shows fen as yuan without ever rounding', () => {
    expect(yuan(0)).toBe('¥0.00')
    expect(yuan(5)).toBe('¥0.05')
    expect(yuan(1990)).toBe('¥19.90')
    expect(yuan(-250)).toBe('-¥2.50')
    expect(yuan(123456789)).toBe('¥1,234,567.89')
    // 0.1 + 0.2 of floating point has no place here.
    expect(yuan(10 + 20)).toBe('¥0.30')
  })
  it('refuses what is not whole fen', () => {
    expect(() => yuan(1.5)).toThrow(RangeError)
    expect(() => yuan(Number.NaN)).toThrow(RangeError)
  })
  it('says in words that a visit is free', () => {
    expect(price(0)).toBe('免费')
    expect(price(2500)).toBe('¥25.00')
  })
})
