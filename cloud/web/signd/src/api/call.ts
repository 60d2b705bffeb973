// The management interface, typed by its own description; `schema.d.ts` is generated from it (`cargo xtask golden`).
import { ApiError, DEADLINE, send } from '@yiqiao/kit/http'
import createClient from 'openapi-fetch'
import { watched } from '../reach'
import type { paths } from './schema'

/** The server refuses what changes something without this header: a page of another site cannot send it. */
function marked(request: Request): Request {
  request.headers.set('X-Signd', '1')
  return request
}
const silent = (cause: unknown): boolean => cause instanceof ApiError && cause.status === 0
/** Asks, and minds whether an answer comes. */
const ask = (request: Request, deadline?: number): Promise<Response> => watched(() => send(marked(request), {}, deadline), silent, deadline !== undefined)
type Query = Record<string, string | number | boolean | undefined | null>

/** A query without its empty values. */
export function search(query: Query): string {
  const all = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) if (value !== undefined && value !== null && value !== '') all.set(key, String(value))
  return all.toString()
}

/** The interface. Failures are thrown as `ApiError` with words for the person. */
export const api = createClient<paths>({
  baseUrl: typeof location === 'undefined' ? '' : location.origin,
  fetch: (request: Request) => ask(request),
  querySerializer: (query) => search(query as Query),
})

/** For what takes the server long: making RSA keys, testing itself, reading many files. */
export const slow = { fetch: (request: Request) => ask(request, DEADLINE.upload) }

/** The body of an answer; refusals were thrown before. */
export async function body<T>(answer: Promise<{ data?: T }>): Promise<T> {
  return (await answer).data as T
}
