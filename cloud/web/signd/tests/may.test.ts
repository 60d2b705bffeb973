import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { may, RESTRICTED } from '../src/may'
import { session } from '../src/session'

/** The server's table, read from its source. */
function table(): Record<string, string[]> {
  const source = readFileSync(new URL('../../../../edge/sign/src/manage/permission.rs', import.meta.url), 'utf8')
  const names: Record<string, string[]> = { OPEN: ['open'], PEER: ['open'], ALL: ['administrator', 'operator', 'auditor'] }
  for (const [, name, roles] of source.matchAll(/const (\w+): Access = Access::Roles\(&\[([^\]]+)\]\)/g)) names[name!] = roles!.split(',').map((role) => role.trim().toLowerCase()).filter(Boolean)
  const lines = [...source.matchAll(/\(\s*"([A-Z]+)",\s*"([^"]+)",\s*(\w+),?\s*\)/g)]
  return Object.fromEntries(lines.map(([, method, path, access]) => [`${method} ${path}`, names[access!] ?? []]))
}

describe('who may what', () => {
  it('is the server’s own table', () => {
    const restricted = Object.fromEntries(Object.entries(table()).filter(([, roles]) => roles.length < 3 && !roles.includes('open')))
    expect(Object.keys(restricted).length).toBeGreaterThan(30)
    const sorted = (all: Record<string, readonly string[]>) => Object.fromEntries(Object.entries(all).map(([route, roles]) => [route, [...roles].sort()]))
    expect(sorted(RESTRICTED)).toEqual(sorted(restricted))
  })
  it('is nothing for nobody', () => {
    session.who = undefined
    expect(may('POST /manage/v1/keys')).toBe(false)
    session.who = { id: 'acc_1', name: 'op', person: '操作', role: 'operator' }
    expect(may('POST /manage/v1/keys')).toBe(false)
    expect(may('POST /manage/v1/chains')).toBe(true)
  })
})
