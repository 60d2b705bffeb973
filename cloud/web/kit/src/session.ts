// Who is signed in on this device.
import { reactive, watch } from 'vue'
import { account } from './api/account'
import type { Me } from './api/types'
import { asApiError, onSignedOut, type ApiError } from './http'
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

let wanted: Me['kind'] = 'patient'
/** Ask the server who we are; a failure that is not "nobody" is kept in `error`. A session of the other kind in this browser is nobody here. */
export async function recall(kind: Me['kind'] = wanted): Promise<void> {
  wanted = kind
  session.error = undefined
  try {
    const me = await account.me()
    session.me = me.kind === wanted ? { ...me, kind: wanted } : undefined
    session.state = session.me ? 'in' : 'out'
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
