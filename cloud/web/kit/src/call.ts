// One party's end of a video call: media to and from the room server, signalled over a WebSocket.
import { onScopeDispose, reactive, ref, shallowRef } from 'vue'
import { room } from './api/visits'
import { asApiError } from './http'

/** Where the call stands on this side. */
export type CallStage = 'idle' | 'preparing' | 'joining' | 'alone' | 'talking' | 'reconnecting' | 'ended' | 'failed'

interface Signal { type: string; sdp?: string; candidate?: RTCIceCandidateInit | null; reason?: string }

const JOIN_MS = 20_000
/** Remembers that this device's network needs the relay. */
const RELAY_KEY = 'yiqiao.video.relay'

function remembered(): boolean {
  try { return localStorage.getItem(RELAY_KEY) === '1' } catch { return false }
}

/** What a browser is told of the ways to the room: on a network without UDP the relay alone, over a stream. */
export function ways(servers: RTCIceServer[], relayOnly: boolean): RTCConfiguration {
  if (!relayOnly) return { iceServers: servers }
  const relays = servers
    .map((server) => ({ ...server, urls: [server.urls].flat().filter((url) => /^turns?:/.test(url)) }))
    .filter((server) => server.urls.length > 0)
  const streams = relays
    .map((server) => ({ ...server, urls: server.urls.filter((url) => url.includes('transport=tcp')) }))
    .filter((server) => server.urls.length > 0)
  if (relays.length === 0) return { iceServers: servers }
  return { iceServers: streams.length > 0 ? streams : relays, iceTransportPolicy: 'relay' }
}

/** How media really goes, e.g. `relay/tcp` or `host/udp`; empty while it does not. */
function pathOf(stats: RTCStatsReport): string {
  let pair: { localCandidateId?: string } | undefined
  stats.forEach((report: { type: string; nominated?: boolean; state?: string; localCandidateId?: string }) => {
    if (report.type === 'candidate-pair' && report.nominated && report.state === 'succeeded') pair = report
  })
  const local = (pair?.localCandidateId && stats.get(pair.localCandidateId)) as { candidateType?: string; protocol?: string; relayProtocol?: string } | undefined
  return local ? `${local.candidateType}/${local.relayProtocol ?? local.protocol}` : ''
}

function mediaWords(cause: unknown): string {
  const name = cause instanceof DOMException ? cause.name : ''
  if (name === 'NotAllowedError') return '没有摄像头或麦克风权限，请在浏览器设置中允许后重试'
  if (name === 'NotFoundError') return '没有找到摄像头或麦克风，请检查设备'
  if (name === 'NotReadableError') return '摄像头或麦克风被其他应用占用，请关闭后重试'
  return '当前浏览器无法进行视频通话，请换用新版浏览器'
}

/** Camera and microphone; sound alone when there is no camera. */
async function ownMedia(): Promise<MediaStream> {
  if (!navigator.mediaDevices) throw new Error('当前浏览器无法进行视频通话，请使用 HTTPS 地址打开')
  const audio = { echoCancellation: true, noiseSuppression: true }
  try {
    return await navigator.mediaDevices.getUserMedia({ audio, video: { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 20 }, facingMode: 'user' } })
  } catch (cause) {
    if (!(cause instanceof DOMException) || cause.name !== 'NotFoundError') throw new Error(mediaWords(cause), { cause })
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ audio })
  } catch (cause) {
    throw new Error(mediaWords(cause), { cause })
  }
}

/** The call of a visit. */
export function useCall(visit: string) {
  const stage = ref<CallStage>('idle')
  const words = ref('')
  const own = shallowRef<MediaStream>()
  const theirs = shallowRef<MediaStream>()
  /** Only through the relay: the network lets no UDP out. */
  const relayed = ref(remembered())
  /** Whether there is a relay to go through. */
  const relayable = ref(false)
  const path = ref('')
  const muted = reactive({ audio: false, video: false })
  let peer: RTCPeerConnection | undefined
  let socket: WebSocket | undefined
  let limit: ReturnType<typeof setTimeout> | undefined
  let listening: ReturnType<typeof setInterval> | undefined
  let attempts = 0
  let gone = false

  function say(signal: Signal): void {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(signal))
  }

  function fail(text: string): void {
    if (stage.value === 'ended') return
    stop('failed')
    words.value = text
  }

  function stop(to: CallStage): void {
    stage.value = to
    clearTimeout(limit)
    clearInterval(listening)
    socket?.close()
    peer?.close()
    socket = undefined
    peer = undefined
    theirs.value = undefined
    for (const track of own.value?.getTracks() ?? []) track.stop()
    own.value = undefined
  }

  async function hear(signal: Signal): Promise<void> {
    if (!peer) return
    if (signal.type === 'answer' && signal.sdp) await peer.setRemoteDescription({ type: 'answer', sdp: signal.sdp })
    else if (signal.type === 'offer' && signal.sdp) {
      await peer.setRemoteDescription({ type: 'offer', sdp: signal.sdp })
      await peer.setLocalDescription()
      say({ type: 'answer', sdp: peer.localDescription?.sdp })
    } else if (signal.type === 'candidate' && signal.candidate) await peer.addIceCandidate(signal.candidate)
    else if (signal.type === 'left') {
      theirs.value = undefined
      if (stage.value === 'talking') stage.value = 'alone'
    } else if (signal.type === 'ended') stop('ended')
    else if (signal.type === 'error') fail(signal.reason ?? '视频连接失败，请重试')
  }

  async function connect(): Promise<void> {
    const media = own.value
    if (!media || gone) return
    const { ice_servers } = await room.ice(visit)
    // Who hung up meanwhile does not come into the room again.
    if (gone || own.value !== media) return
    peer?.close()
    relayable.value = ice_servers.some((server) => [server.urls].flat().some((url) => /^turns?:/.test(url)))
    path.value = ''
    const mine = new RTCPeerConnection(ways(ice_servers, relayed.value))
    peer = mine
    for (const track of media.getTracks()) mine.addTrack(track, media)
    mine.ontrack = (event) => {
      const stream = theirs.value ?? new MediaStream()
      for (const old of stream.getTracks()) if (old.kind === event.track.kind) stream.removeTrack(old)
      stream.addTrack(event.track)
      theirs.value = new MediaStream(stream.getTracks())
    }
    mine.onicecandidate = (event) => { if (event.candidate) say({ type: 'candidate', candidate: event.candidate.toJSON() }) }
    mine.onconnectionstatechange = () => {
      if (peer !== mine) return
      if (mine.connectionState === 'connected') {
        attempts = 0
        clearTimeout(limit)
        if (stage.value !== 'talking') stage.value = 'alone'
      } else if (mine.connectionState === 'failed') again()
    }
    // A track says nothing about the other party being there; only bytes that arrive do.
    clearInterval(listening)
    let heard = 0
    listening = setInterval(() => {
      void mine.getStats().then((stats) => {
        let bytes = 0
        stats.forEach((report: { type: string; bytesReceived?: number }) => { if (report.type === 'inbound-rtp') bytes += report.bytesReceived ?? 0 })
        if (peer === mine) path.value = pathOf(stats)
        if (peer === mine && bytes > heard && stage.value === 'alone') stage.value = 'talking'
        heard = bytes
      }).catch(() => undefined)
    }, 700)
    const wire = new WebSocket(room.videoSocket(visit))
    socket = wire
    let queue: Promise<void> = Promise.resolve()
    wire.onmessage = (event: MessageEvent<string>) => {
      queue = queue
        .then(async () => { if (socket === wire) await hear(JSON.parse(event.data) as Signal) })
        .catch(() => { if (socket === wire) again() })
    }
    wire.onclose = () => { if (socket === wire && stage.value !== 'ended' && stage.value !== 'failed') again() }
    wire.onopen = () => {
      const offer = async () => {
        await mine.setLocalDescription(await mine.createOffer())
        if (socket === wire) say({ type: 'offer', sdp: mine.localDescription?.sdp })
      }
      offer().catch(() => { if (socket === wire) again() })
    }
  }

  function again(): void {
    if (gone || stage.value === 'ended' || stage.value === 'failed') return
    attempts += 1
    if (attempts > 4) {
      fail('视频连接中断，请检查网络后重新加入')
      return
    }
    stage.value = 'reconnecting'
    // The room keeps one seat for each of us: the old one must not hear that we came again.
    const old = socket
    socket = undefined
    old?.close()
    setTimeout(() => { connect().catch((cause: unknown) => fail(asApiError(cause).message)) }, 600 * attempts)
  }

  async function join(): Promise<void> {
    if (stage.value !== 'idle' && stage.value !== 'failed' && stage.value !== 'ended') return
    stage.value = 'preparing'
    words.value = ''
    attempts = 0
    try {
      own.value = await ownMedia()
      // Hung up while the camera was still opening.
      if (gone || stage.value !== 'preparing') return stop('ended')
      stage.value = 'joining'
      limit = setTimeout(() => fail('视频连接超时，请检查网络后重试'), JOIN_MS)
      await connect()
    } catch (cause) {
      fail(cause instanceof Error ? cause.message : asApiError(cause).message)
    }
  }

  function toggle(kind: 'audio' | 'video'): void {
    muted[kind] = !muted[kind]
    const tracks = kind === 'audio' ? own.value?.getAudioTracks() : own.value?.getVideoTracks()
    for (const track of tracks ?? []) track.enabled = !muted[kind]
  }

  /** Goes through the relay alone, or by any way again; the call is joined anew. */
  function useRelay(on: boolean): void {
    relayed.value = on
    try { localStorage.setItem(RELAY_KEY, on ? '1' : '0') } catch { /* remembered for this call only */ }
    if (stage.value === 'failed') {
      void join()
      return
    }
    attempts = 0
    again()
  }

  const hide = () => stop('ended')
  addEventListener('pagehide', hide)
  onScopeDispose(() => {
    gone = true
    removeEventListener('pagehide', hide)
    stop('ended')
  })
  return { stage, words, own, theirs, muted, relayed, relayable, path, useRelay, join, toggle, leave: () => stop('ended') }
}
