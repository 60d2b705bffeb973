// A policy as it is edited, and what is wrong with it.
import type { Policy } from './api/types'

/** A new application's: everything that is safe to allow, nothing chosen that somebody has to think about. */
export const freshPolicy = (): Policy => ({
  keys: [], chains: [], revocation: 'crl-or-ocsp', revocation_must_be_known: true,
  formats: ['pkcs1', 'pkcs7-attached', 'pkcs7-detached', 'xml', 'pdf', 'stamp', 'cipher'], rate_per_second: 0,
})
/** A copy to edit. */
export const copyOf = (policy: Policy): Policy => ({ ...policy, keys: [...policy.keys], chains: [...policy.chains], formats: [...policy.formats] })
/** Whether two say the same, however their sets are ordered; the order of keys counts. */
export function samePolicy(a: Policy, b: Policy): boolean {
  const shape = (p: Policy) => JSON.stringify([p.keys, [...p.chains].sort(), p.revocation, p.revocation_must_be_known, [...p.formats].sort(), p.rate_per_second])
  return shape(a) === shape(b)
}
/** What is wrong, in words. */
export function policyFault(policy: Policy): string | undefined {
  const rate = policy.rate_per_second
  if (!Number.isInteger(rate) || rate < 0 || rate > 4_294_967_295) return '每秒最多请求数应为不小于 0 的整数'
  return policy.formats.length === 0 ? '请至少选择一种可做的操作' : undefined
}
