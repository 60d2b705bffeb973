import { useLoad as useKitLoad, type Loaded, type LoadOptions } from '@yiqiao/kit/load'
import { onScopeDispose, watch } from 'vue'
import { onBack } from './reach'
import { session } from './session'

/** As the kit's; and reads again when a server that was away answers again, or who was signed out is back. */
export function useLoad<T>(read: () => Promise<T>, options: LoadOptions = {}): Loaded<T> {
  const loaded = useKitLoad(read, options)
  const again = () => loaded.reload(loaded.data.value !== undefined)
  onScopeDispose(onBack(() => { if (session.state === 'in') void again() }))
  watch(() => session.state, (state) => { if (state === 'in') void again() })
  return loaded
}
