// Requests as the endpoint files write them.
import { DEADLINE, send } from '../http'

/** Root of the API. */
export const API = '/api/v1'
type Query = Record<string, string | number | boolean | undefined | null>

/** A path with its query; empty values are left out. */
export function path(route: string, query: Query = {}): string {
  const search = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) if (value !== undefined && value !== null && value !== '') search.set(key, String(value))
  const text = search.toString()
  return API + route + (text ? `?${text}` : '')
}

async function body<T>(response: Response): Promise<T> {
  if (response.status === 204) return undefined as T
  const text = await response.text()
  return (text ? JSON.parse(text) : undefined) as T
}

/** Read. */
export async function get<T>(route: string, query?: Query, deadline?: number): Promise<T> {
  return body<T>(await send(path(route, query), {}, deadline))
}
/** Write; `data` goes as JSON. */
export async function write<T>(method: 'POST' | 'PUT' | 'DELETE', route: string, data?: unknown, deadline?: number): Promise<T> {
  const init: RequestInit = { method }
  if (data !== undefined) {
    init.body = JSON.stringify(data)
    init.headers = { 'Content-Type': 'application/json' }
  }
  return body<T>(await send(API + route, init, deadline))
}
/** Send a file. */
export async function upload<T>(route: string, form: FormData): Promise<T> {
  return body<T>(await send(API + route, { method: 'POST', body: form }, DEADLINE.upload))
}
/** A path segment. */
export const seg = encodeURIComponent
