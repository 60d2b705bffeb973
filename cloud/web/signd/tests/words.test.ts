import { describe, expect, it } from 'vitest'
import { copyOf, freshPolicy, policyFault, samePolicy } from '../src/policy'
import { base64, size } from '../src/files'
import { custodianNames, custodiansFault, shareIn } from '../src/shares'
import { applicationIdFault, lasted, nameFault, passwordFault, validity } from '../src/words'

describe('certificates', () => {
  const now = Date.parse('2026-11-21T08:00:00Z')
  const until = (at: string) => validity('2026-01-01T00:00:00Z', at, now)
  it('warn a month before they end', () => {
    expect(until('2027-11-21T08:00:00Z')).toEqual(['good', '有效'])
    expect(until('2026-12-21T08:00:00Z')).toEqual(['warn', '剩 30 天'])
    expect(until('2026-11-21T20:00:00Z')).toEqual(['warn', '今天到期'])
    expect(until('2026-11-21T07:59:59Z')).toEqual(['bad', '已过期'])
    expect(validity('2026-12-01T00:00:00Z', '2027-12-01T00:00:00Z', now)).toEqual(['warn', '尚未生效'])
  })
})

describe('rules that the server has', () => {
  it('passwords are long, mixed and without the name', () => {
    expect(passwordFault('Short1!', 'a')).toMatch(/10/)
    expect(passwordFault('alllowercase', 'a1')).toMatch(/三种/)
    expect(passwordFault('Has-Zhang-1234', 'zhang')).toMatch(/用户名/)
    expect(passwordFault('Good-Enough-1', 'zhang')).toBeUndefined()
    expect(passwordFault('一二三四五六七八九Aa', '')).toBeUndefined()
  })
  it('names are small letters, ids begin with app_', () => {
    for (const good of ['ab', 'zhang.san', 'op_1-2']) expect(nameFault(good)).toBeUndefined()
    for (const bad of ['a', 'Zhang', '张三', 'a b', 'x'.repeat(33)]) expect(nameFault(bad)).toBeDefined()
    expect(applicationIdFault('app_HIS-1')).toBeUndefined()
    for (const bad of ['app_', 'his', 'app_医院', `app_${'x'.repeat(41)}`]) expect(applicationIdFault(bad)).toBeDefined()
  })
})

describe('policies', () => {
  it('are the same however their sets are ordered, but not their keys', () => {
    const a = { ...freshPolicy(), keys: [1, 2], chains: ['chn_a', 'chn_b'] }
    expect(samePolicy(a, { ...copyOf(a), chains: ['chn_b', 'chn_a'], formats: [...a.formats].reverse() })).toBe(true)
    expect(samePolicy(a, { ...copyOf(a), keys: [2, 1] })).toBe(false)
    expect(samePolicy(a, { ...copyOf(a), revocation: 'crl' })).toBe(false)
  })
  it('are edited as copies', () => {
    const a = freshPolicy()
    copyOf(a).keys.push(7)
    expect(a.keys).toEqual([])
  })
  it('need an operation and a whole rate', () => {
    expect(policyFault({ ...freshPolicy(), formats: [] })).toMatch(/至少选择一种/)
    for (const rate of [-1, 1.5, '' as unknown as number]) expect(policyFault({ ...freshPolicy(), rate_per_second: rate })).toMatch(/整数/)
    expect(policyFault(freshPolicy())).toBeUndefined()
  })
})

describe('custodians', () => {
  it('are two at least, each once', () => {
    expect(custodianNames('张三\n李四、王五\n\n')).toEqual(['张三', '李四', '王五'])
    expect(custodiansFault(['张三'], 2)).toMatch(/2 至 16/)
    expect(custodiansFault(['张三', '张三'], 2)).toMatch(/重复/)
    expect(custodiansFault(['张三', '李四'], 3)).toMatch(/2 到 2/)
    expect(custodiansFault(['张三', '李四', '王五'], 2)).toBeUndefined()
  })
  it('shares are found in what was printed', () => {
    const share = `YQS1-0123456789ABCDEF-2-3-${'AB'.repeat(32)}-12345678`
    expect(shareIn(`密钥托管分量\n托管人：张三\n\n${share.toLowerCase().replace('yqs1', 'YQS1')}\n请妥善保管`)).toBe(share)
    expect(shareIn('YQS1-0123-2-3-AB-12')).toBeUndefined()
  })
})

it('bytes become Base64 also when they are many', () => {
  const bytes = Uint8Array.from({ length: 100_000 }, (_, n) => n % 256)
  expect(base64(bytes)).toBe(Buffer.from(bytes).toString('base64'))
  expect(base64(new Uint8Array())).toBe('')
})
it('sizes and times are short', () => {
  expect([12, 2048, 3_500_000].map(size)).toEqual(['12 B', '2.0 KB', '3.3 MB'])
  expect([5, 90, 3_700, 200_000].map(lasted)).toEqual(['5 秒', '1 分钟', '1 小时 1 分', '2 天 7 小时'])
})
