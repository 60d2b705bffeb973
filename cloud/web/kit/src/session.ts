// Who is signed in on this device.
import { reactive, watch } from 'vue'
import { account } from './api/account'
import type { Me } from './api/types'
import { notice } from './ask'
import { asApiError, onForbidden, onSignedOut, type ApiError } from './http'
import { streamFor } from './live'

/** Current session. `unknown` until the first answer of the server. */
export const session = reactive<{ state: 'unknown' | 'in' | 'out'; me: Me | undefined; error: ApiError | undefined }>({
  state: 'unknown', me: undefined, error: undefined,
})

watch(() => session.state, (state) => streamFor(state === 'in'))
onSignedOut(() => {
  session.state = 'out'
  session.me = undefined
})

const isOut = () => session.state === 'out'
// The doctor's and the administrator's app share the staff's session: who signs in at the one ends the other's in the next tab.
onForbidden(async () => {
  if (session.state !== 'in') return
  await recall()
  if (isOut()) notice('这个浏览器刚登录了另一个账号，请重新登录', true)
})

const OWNER = 'yiqiao.owner'
const forgetful = new Set<() => void>()
/** Called when the device changes hands: after signing out, and when somebody else signs in. A session that merely ran out is no reason, its person comes back. */
export function onChangeOfHands(forget: () => void): void {
  forgetful.add(forget)
}
function belongsTo(owner: string | undefined): void {
  if (typeof sessionStorage === 'undefined') return
  const before = sessionStorage.getItem(OWNER)
  if (before !== null && before !== owner) {
    for (const forget of forgetful) forget()
    sessionStorage.clear()
  }
  if (owner) sessionStorage.setItem(OWNER, owner)
}

let wanted: Me['kind'] = 'patient'
/** Ask the server who we are; a failure that is not "nobody" is kept in `error`. A session of the other kind in this browser is nobody here. */
export async function recall(kind: Me['kind'] = wanted): Promise<void> {
  wanted = kind
  session.error = undefined
  try {
    const me = await account.me()
    session.me = me.kind === wanted ? { ...me, kind: wanted } : undefined
    session.state = session.me ? 'in' : 'out'
    if (session.me) belongsTo(session.me.account?.id ?? session.me.staff?.id)
  } catch (cause) {
    const error = asApiError(cause)
    session.me = undefined
    if (error.status === 401) session.state = 'out'
    else session.error = error
  }
}

/** End the session here, even when the server cannot be told. */
export async function leave(): Promise<void> {
  try {
    await account.logout()
  } finally {
    session.state = 'out'
    session.me = undefined
    belongsTo(undefined)
  }
}

const HOSPITAL = 'yiqiao.hospital'
/** Hospital of this device: from the address (`?hospital=`), else as last chosen. */
export function rememberedHospital(): string | undefined {
  const asked = new URLSearchParams(location.search).get('hospital')
  if (asked) rememberHospital(asked)
  return asked ?? localStorage.getItem(HOSPITAL) ?? undefined
}
/** Keep the chosen hospital. */
export function rememberHospital(code: string): void {
  localStorage.setItem(HOSPITAL, code)
}

const LARGE = 'yiqiao.large'
/** Large text (大字版) on this device. */
export const display = reactive({ large: typeof localStorage !== 'undefined' && localStorage.getItem(LARGE) === '1' })
/** Switch large text. */
export function setLarge(on: boolean): void {
  display.large = on
  localStorage.setItem(LARGE, on ? '1' : '0')
  document.documentElement.toggleAttribute('data-large', on)
}
if (display.large) document.documentElement.toggleAttribute('data-large', true)
