import { api, body, slow } from './call'

const of = (code: string) => ({ params: { path: { code } } })
/** The public check of a prescription. */
export const verifyApi = {
  look: (code: string) => body(api.GET('/api/v1/verify/{code}', of(code))),
  compare: (code: string, file: Blob) => body(api.POST('/api/v1/verify/{code}/document', { ...of(code), ...slow, body: '', bodySerializer: () => file, headers: { 'Content-Type': 'application/pdf' } })),
}
