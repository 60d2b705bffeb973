import { get, path, seg } from './call'
import { DEADLINE, send } from '../http'
import type { Verification } from './types'

/** The public check of a prescription. */
export const verifyApi = {
  look: (code: string) => get<Verification>(`/verify/${seg(code)}`),
  compare: async (code: string, file: Blob): Promise<Verification> => {
    const response = await send(path(`/verify/${seg(code)}/document`), { method: 'POST', body: file, headers: { 'Content-Type': 'application/pdf' } }, DEADLINE.upload)
    return (await response.json()) as Verification
  },
}
