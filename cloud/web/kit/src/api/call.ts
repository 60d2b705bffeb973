// Requests typed by the server's own description; `schema.d.ts` is generated from it (`npm run generate`).
import createClient from 'openapi-fetch'
import { DEADLINE, send } from '../http'
import type { paths } from './schema'

/** Root of the API, for addresses that the browser opens itself. */
export const API = '/api/v1'
type Query = Record<string, string | number | boolean | undefined | null>

function search(query: Query): string {
  const all = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) if (value !== undefined && value !== null && value !== '') all.set(key, String(value))
  return all.toString()
}

/** An address with its query; empty values are left out. */
export function path(route: string, query: Query = {}): string {
  const text = search(query)
  return API + route + (text ? `?${text}` : '')
}
/** A path segment. */
export const seg = encodeURIComponent

/** The API. Failures are thrown as `ApiError` with words for the person. */
export const api = createClient<paths>({
  baseUrl: typeof location === 'undefined' ? '' : location.origin,
  fetch: (request: Request) => send(request),
  querySerializer: (query) => search(query as Query),
})

/** For files: a longer deadline. */
export const slow = { fetch: (request: Request) => send(request, {}, DEADLINE.upload) }

/** The body of an answer; refusals were thrown before. */
export async function body<T>(answer: Promise<{ data?: T }>): Promise<T> {
  return (await answer).data as T
}
