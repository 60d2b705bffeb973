import { get, path, seg, upload, write } from './call'
import type { IceServer, Message, NewMessage, Upload, VideoState } from './types'

/** What patient and doctor share in a visit: messages, files, video. */
export const room = {
  messages: (visit: string, after: number) => get<Message[]>(`/visits/${seg(visit)}/messages`, { after }),
  say: (visit: string, message: NewMessage) => write<Message>('POST', `/visits/${seg(visit)}/messages`, message),
  upload: (file: Blob, purpose: string, name: string) => {
    const form = new FormData()
    form.append('purpose', purpose)
    form.append('file', file, name)
    return upload<Upload>('/uploads', form)
  },
  blobUrl: (id: string) => path(`/blobs/${seg(id)}`),
  video: (visit: string) => get<VideoState>(`/visits/${seg(visit)}/video`),
  startVideo: (visit: string) => write<VideoState>('POST', `/visits/${seg(visit)}/video/start`),
  acceptVideo: (visit: string) => write<VideoState>('POST', `/visits/${seg(visit)}/video/accept`),
  declineVideo: (visit: string) => write<VideoState>('POST', `/visits/${seg(visit)}/video/decline`),
  endVideo: (visit: string) => write<VideoState>('POST', `/visits/${seg(visit)}/video/end`),
  ice: (visit: string) => get<{ ice_servers: IceServer[] }>(`/visits/${seg(visit)}/video/ice`),
  videoSocket: (visit: string) => `${location.origin.replace(/^http/, 'ws')}${path(`/visits/${seg(visit)}/video/ws`)}`,
}
