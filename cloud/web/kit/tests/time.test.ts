import { describe, expect, it } from 'vitest'
import { age, chatTime, dateTime, dayName, localDay, longDay, plusDays, remaining } from '../src/time'

describe('time of the hospital', () => {
  it('is UTC+8 whatever the device is set to', () => {
    expect(dateTime('2026-11-20T17:30:00Z')).toBe('2026-11-21 01:30')
    expect(localDay(new Date('2026-11-20T15:59:59Z'))).toBe('2026-11-20')
    expect(localDay(new Date('2026-11-20T16:00:00Z'))).toBe('2026-11-21')
    expect(dateTime(undefined)).toBe('—')
    expect(dateTime('nonsense')).toBe('—')
  })
  it('counts days across months and leap years', () => {
    expect(plusDays('2026-11-30', 1)).toBe('2026-12-01')
    expect(plusDays('2028-02-28', 1)).toBe('2028-02-29')
    expect(plusDays('2026-01-01', -1)).toBe('2025-12-31')
    expect(longDay('2026-11-21')).toBe('11月21日 周六')
    expect(dayName('2026-11-22', '2026-11-21')).toBe('明天')
  })
  it('counts down to the end of a lock and then says so', () => {
    const now = Date.parse('2026-11-21T01:00:00Z')
    expect(remaining('2026-11-21T01:14:59Z', now)).toBe('14:59')
    expect(remaining('2026-11-21T02:00:05Z', now)).toBe('1:00:05')
    expect(remaining('2026-11-21T01:00:00Z', now)).toBeUndefined()
    expect(remaining(null, now)).toBeUndefined()
  })
  it('says ages as a doctor does', () => {
    expect(age('2026-11-01', '2026-11-21')).toBe('未满月')
    expect(age('2026-06-22', '2026-11-21')).toBe('4个月')
    expect(age('1985-11-22', '2026-11-21')).toBe('40岁')
  })
  it('names yesterday in a conversation', () => {
    const now = new Date('2026-11-21T08:00:00Z')
    expect(chatTime('2026-11-21T01:05:00Z', now)).toBe('09:05')
    expect(chatTime('2026-11-20T01:05:00Z', now)).toBe('昨天 09:05')
  })
})
