// One way to the cloud: every request has a deadline, every failure has plain words and says whether trying again helps.

/** What went wrong, in words for the person. */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly status = 0,
    readonly field?: string,
    readonly requestId?: string,
  ) {
    super(message)
    this.name = 'ApiError'
  }
  /** Whether the same request may succeed later without a change by the person. */
  get temporary(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500
  }
}

/** Deadlines in milliseconds. */
export const DEADLINE = { read: 12_000, write: 25_000, upload: 90_000 } as const

type Listener = () => void
const signedOut = new Set<Listener>()
/** Called when the server no longer knows this session. */
export function onSignedOut(listener: Listener): void {
  signedOut.add(listener)
}
const forbidden = new Set<Listener>()
/** Called when the session may not do what its app does: perhaps it is another person's by now. */
export function onForbidden(listener: Listener): void {
  forbidden.add(listener)
}

const WORDS: Record<number, string> = {
  400: '提交的内容有误，请检查后重试',
  403: '您没有权限进行此操作',
  404: '没有找到相关内容',
  409: '状态已发生变化，请刷新后再试',
  413: '文件太大，请换小一些的文件',
  415: '不支持这种文件格式',
  429: '操作太频繁，请稍候再试',
  502: '服务暂时不可用，请稍后重试',
  503: '服务暂时不可用，请稍后重试',
  504: '医院系统响应超时，请稍后重试',
}

function offline(): ApiError {
  return typeof navigator !== 'undefined' && !navigator.onLine
    ? new ApiError('offline', '当前没有网络，请检查网络连接后重试')
    : new ApiError('unreachable', '连接服务器失败，请检查网络后重试')
}

function late(): ApiError {
  return new ApiError('timeout', '等待时间过长，服务器没有回应，请重试')
}

/** As whom this app asks: a browser may be signed in as a patient and as staff at once. */
export function asWhom(): 'patient' | 'staff' | undefined {
  const app = typeof location === 'undefined' ? '' : location.pathname.split('/')[1]
  if (app === 'patient') return 'patient'
  return app === 'doctor' || app === 'admin' ? 'staff' : undefined
}

/** `fetch` with a deadline, the anti-forgery header and errors as [`ApiError`]. Non-2xx answers are thrown. */
export async function send(input: Request | string, init: RequestInit = {}, deadline?: number): Promise<Response> {
  const method = (init.method ?? (input instanceof Request ? input.method : 'GET')).toUpperCase()
  const limit = deadline ?? (method === 'GET' ? DEADLINE.read : DEADLINE.write)
  const headers = new Headers(init.headers ?? (input instanceof Request ? input.headers : undefined))
  if (method !== 'GET') headers.set('X-Yiqiao', '1')
  const as = asWhom()
  if (as) headers.set('X-Yiqiao-As', as)
  const stop = new AbortController()
  const timer = setTimeout(() => stop.abort(), limit)
  let response: Response
  try {
    response = await fetch(input, { ...init, headers, credentials: 'same-origin', signal: stop.signal })
  } catch {
    clearTimeout(timer)
    throw stop.signal.aborted ? late() : offline()
  }
  // The timer stays: the body has to arrive within the same deadline. Aborting what is complete does nothing.
  if (response.ok) return response
  throw await refusal(response)
}

async function refusal(response: Response): Promise<ApiError> {
  const told = (await response.json().catch(() => undefined)) as Record<string, unknown> | null | undefined
  const text = (key: string) => (typeof told?.[key] === 'string' ? told[key] : undefined)
  const error = new ApiError(
    text('code') ?? `http_${response.status}`,
    text('message') ?? text('text') ?? WORDS[response.status] ?? '系统出了点问题，请稍后重试',
    response.status,
    text('field'),
    text('request_id'),
  )
  if (response.status === 401 && !response.url.includes('/auth/')) for (const listener of signedOut) listener()
  if (error.code === 'forbidden') for (const listener of forbidden) listener()
  return error
}

/** Any thrown thing as an [`ApiError`]. */
export function asApiError(cause: unknown): ApiError {
  if (cause instanceof ApiError) return cause
  if (cause instanceof DOMException && cause.name === 'AbortError') return late()
  if (cause instanceof TypeError) return offline()
  return new ApiError('unexpected', cause instanceof Error && cause.message ? cause.message : '系统出了点问题，请稍后重试')
}

/** A key for a write that may be repeated safely. */
export function freshKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('')
}
