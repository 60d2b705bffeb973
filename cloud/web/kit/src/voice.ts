// Voice messages: recorded while held, at most a minute.

/** A finished recording. */
export interface Voice {
  blob: Blob
  seconds: number
}
/** Longest message. */
export const LONGEST_S = 60

const TYPES = ['audio/webm;codecs=opus', 'audio/ogg;codecs=opus', 'audio/mp4']

/** Ask for the microphone and start; the returned function ends the recording. */
export async function record(onLimit: () => void): Promise<(keep: boolean) => Promise<Voice | undefined>> {
  if (typeof MediaRecorder === 'undefined' || !navigator.mediaDevices) throw new Error('当前浏览器不支持录音，请改用文字')
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true } }).catch((cause: unknown) => {
    const name = cause instanceof DOMException ? cause.name : ''
    if (name === 'NotAllowedError') throw new Error('没有麦克风权限，请在浏览器设置中允许后重试')
    if (name === 'NotFoundError') throw new Error('没有找到麦克风')
    throw new Error('无法打开麦克风，请检查是否被其他应用占用')
  })
  const type = TYPES.find((t) => MediaRecorder.isTypeSupported(t))
  const recorder = new MediaRecorder(stream, { ...(type ? { mimeType: type } : {}), audioBitsPerSecond: 24_000 })
  const pieces: Blob[] = []
  recorder.ondataavailable = (event) => { if (event.data.size > 0) pieces.push(event.data) }
  recorder.start(250)
  const began = performance.now()
  const limit = setTimeout(onLimit, LONGEST_S * 1000)
  return async (keep) => {
    clearTimeout(limit)
    const seconds = Math.min(LONGEST_S, Math.round((performance.now() - began) / 100) / 10)
    await new Promise<void>((resolve) => {
      recorder.onstop = () => resolve()
      if (recorder.state === 'inactive') resolve()
      else recorder.stop()
    })
    for (const track of stream.getTracks()) track.stop()
    if (!keep) return undefined
    if (seconds < 0.8) throw new Error('说话时间太短，请按住按钮再说')
    return { blob: new Blob(pieces, { type: (recorder.mimeType || 'audio/webm').split(';')[0] ?? 'audio/webm' }), seconds: Math.max(1, Math.round(seconds)) }
  }
}
