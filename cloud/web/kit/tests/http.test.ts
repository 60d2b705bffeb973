import { afterEach, describe, expect, it, vi } from 'vitest'
import { ApiError, asApiError, onSignedOut, send } from '../src/http'

afterEach(() => {
  vi.unstubAllGlobals()
  vi.useRealTimers()
})
const answer = (status: number, body: unknown, url = 'http://x/api/v1/visits') => {
  const response = new Response(body === undefined ? null : JSON.stringify(body), { status })
  Object.defineProperty(response, 'url', { value: url })
  return response
}
const failure = async (work: Promise<unknown>): Promise<ApiError> => {
  try {
    await work
  } catch (cause) {
    return asApiError(cause)
  }
  throw new Error('it should have failed')
}

describe('a request', () => {
  it('ends at its deadline with words and may be tried again', async () => {
    vi.useFakeTimers()
    vi.stubGlobal('fetch', (_: string, init: RequestInit) => new Promise((_resolve, reject) => init.signal?.addEventListener('abort', () => reject(new DOMException('x', 'AbortError')))))
    const work = failure(send('/api/v1/visits', {}, 5000))
    await vi.advanceTimersByTimeAsync(5001)
    const error = await work
    expect(error.code).toBe('timeout')
    expect(error.message).toContain('请重试')
    expect(error.temporary).toBe(true)
  })
  it('tells the server’s own words and the field they belong to', async () => {
    vi.stubGlobal('fetch', async () => answer(422, { code: 'invalid', message: '请填写11位手机号码', field: 'phone', request_id: 'req_1' }))
    const error = await failure(send('/api/v1/patients', { method: 'POST' }))
    expect(error).toMatchObject({ code: 'invalid', message: '请填写11位手机号码', field: 'phone', requestId: 'req_1', temporary: false })
  })
  it('has plain words for an answer that is not ours', async () => {
    vi.stubGlobal('fetch', async () => new Response('<html>Bad gateway</html>', { status: 502 }))
    expect((await failure(send('/x'))).message).toBe('服务暂时不可用，请稍后重试')
  })
  it('says when there is no network', async () => {
    vi.stubGlobal('fetch', async () => { throw new TypeError('Failed to fetch') })
    vi.stubGlobal('navigator', { onLine: false })
    expect((await failure(send('/x'))).message).toContain('没有网络')
  })
  it('carries the anti-forgery header when it writes, and only then', async () => {
    const seen: (string | null)[] = []
    vi.stubGlobal('fetch', async (_: string, init: RequestInit) => {
      seen.push(new Headers(init.headers).get('X-Yiqiao'))
      return answer(200, {})
    })
    await send('/x')
    await send('/x', { method: 'POST' })
    expect(seen).toEqual([null, '1'])
  })
  it('makes the app forget the session when the server does, but not at a wrong password', async () => {
    const forgotten = vi.fn()
    onSignedOut(forgotten)
    vi.stubGlobal('fetch', async () => answer(401, {}, 'http://x/api/v1/auth/staff/login'))
    await failure(send('/x', { method: 'POST' }))
    expect(forgotten).not.toHaveBeenCalled()
    vi.stubGlobal('fetch', async () => answer(401, {}))
    await failure(send('/x'))
    expect(forgotten).toHaveBeenCalledOnce()
  })
})
