import { API, api, body, seg, slow } from './call'
import { asWhom, DEADLINE, send } from '../http'
import type { IceServer, NewMessage, Upload, VideoState } from './types'

/** What patient and doctor share in a visit: messages, files, video. */
export const room = {
  messages: (id: string, after: number) => body(api.GET('/api/v1/visits/{id}/messages', { params: { path: { id }, query: { after } } })),
  say: (id: string, message: NewMessage) => body(api.POST('/api/v1/visits/{id}/messages', { params: { path: { id } }, body: message })),
  upload: (file: Blob, purpose: string, name: string): Promise<Upload> => {
    const form = new FormData()
    form.append('purpose', purpose)
    form.append('file', file, name)
    // The description can only say "binary text"; what is sent is a form.
    return body(api.POST('/api/v1/uploads', { ...slow, body: { purpose, file: name }, bodySerializer: () => form }))
  },
  blobUrl: (id: string) => `${API}/blobs/${seg(id)}`,
  video: (id: string) => call<VideoState>('GET', id, ''),
  startVideo: (id: string) => call<VideoState>('POST', id, '/start'),
  acceptVideo: (id: string) => call<VideoState>('POST', id, '/accept'),
  declineVideo: (id: string) => call<VideoState>('POST', id, '/decline'),
  endVideo: (id: string) => call<VideoState>('POST', id, '/end'),
  ice: (id: string) => call<{ ice_servers: IceServer[] }>('GET', id, '/ice'),
  videoSocket: (id: string) => `${location.origin.replace(/^http/, 'ws')}${API}/visits/${seg(id)}/video/ws${asWhom() ? `?as=${asWhom()}` : ''}`,
}

async function call<T>(method: string, id: string, act: string): Promise<T> {
  const response = await send(`${API}/visits/${seg(id)}/video${act}`, { method }, DEADLINE.write)
  const text = await response.text()
  return (text ? JSON.parse(text) : undefined) as T
}
