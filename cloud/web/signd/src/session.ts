// Who is signed in at this server, and that nobody stays so who has walked away.
import { asking } from '@yiqiao/kit/ask'
import { asApiError, onSignedOut, type ApiError } from '@yiqiao/kit/http'
import { reactive } from 'vue'
import { signd } from './api/signd'
import type { Session, Who } from './api/types'

/** Why one is out again. */
export type Ended = 'idle' | 'ended' | 'restored'

/** The session. `unknown` until the server has answered; `turn` counts the people who had this page. */
export const session = reactive<{
  state: 'unknown' | 'in' | 'out'; who: Who | undefined; ended: Ended | undefined; error: ApiError | undefined
  setup: boolean; certificate: boolean; idleS: number; turn: number
}>({ state: 'unknown', who: undefined, ended: undefined, error: undefined, setup: false, certificate: false, idleS: 900, turn: 0 })

function left(why: Ended | undefined): void {
  session.ended = why
  session.state = 'out'
  asking.answer?.(undefined)
}
// What was typed stays where it is, behind the sign-in, for the same person to go on.
onSignedOut(() => { if (session.state === 'in') left('ended') })

/** Takes in who is signed in now. Somebody else finds the page empty. */
export function enter(who: Who): void {
  if (session.who?.id !== who.id || session.who.role !== who.role) session.turn += 1
  session.who = who
  session.ended = undefined
  session.state = 'in'
  touched = Date.now()
}

function take(told: Session): void {
  session.setup = told.setup_needed
  session.certificate = told.certificate_offered
  session.idleS = told.idle_s
  if (told.who) enter(told.who)
  else if (session.state === 'in') left('ended')
  else session.state = 'out'
}

/** Asks the server who we are. */
export async function recall(): Promise<void> {
  session.error = undefined
  try {
    take(await signd.session())
  } catch (cause) {
    session.error = asApiError(cause)
  }
}

/** Ends the session, here even when the server cannot be told. */
export async function leave(why?: Ended): Promise<void> {
  try {
    await signd.signOut()
  } catch {
    // It ends by itself at the server.
  }
  left(why)
  if (why !== 'idle') {
    session.who = undefined
    session.turn += 1
  }
}

let touched = Date.now()
/** Milliseconds since anybody touched the page. */
export const untouched = (now = Date.now()): number => now - touched

/** Ends a session that nobody uses, though the page itself goes on asking the server for news. */
export function watchIdle(): void {
  for (const event of ['pointerdown', 'keydown', 'wheel', 'touchstart']) addEventListener(event, () => { touched = Date.now() }, { passive: true })
  setInterval(() => { if (session.state === 'in' && untouched() > session.idleS * 1000) void leave('idle') }, 5_000)
  // Another tab may have signed out, or somebody else in.
  document.addEventListener('visibilitychange', () => { if (document.visibilityState === 'visible' && session.state === 'in') void recall() })
}
