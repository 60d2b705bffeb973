// Questions before acts that cannot be taken back, and short notices. Shown by `AskHost.vue`, one in each app.
import { reactive } from 'vue'

/** A question. */
export interface Question {
  title: string
  text?: string
  ok?: string
  cancel?: string
  /** The act destroys or gives something up. */
  danger?: boolean
  /** Ask for words; the answer is the text. */
  input?: { label: string; placeholder?: string; required?: boolean; options?: string[]; max?: number }
}

/** What the host shows now. */
export const asking = reactive<{ question: Question | undefined; answer: ((text: string | undefined) => void) | undefined; notices: { id: number; text: string; bad: boolean; undo?: () => void }[] }>({
  question: undefined, answer: undefined, notices: [],
})

function put(question: Question): Promise<string | undefined> {
  asking.answer?.(undefined)
  return new Promise((resolve) => {
    asking.question = question
    asking.answer = (text) => {
      asking.question = undefined
      asking.answer = undefined
      resolve(text)
    }
  })
}

/** Ask yes or no. */
export async function confirm(question: Question): Promise<boolean> {
  return (await put(question)) !== undefined
}

/** Ask for words; undefined when the person steps back. */
export function askWords(question: Question & { input: NonNullable<Question['input']> }): Promise<string | undefined> {
  return put(question)
}

let last = 0
/** A short notice that goes away by itself; one that can be undone stays longer. */
export function notice(text: string, bad = false, undo?: () => void): void {
  const id = ++last
  const gone = () => { asking.notices = asking.notices.filter((n) => n.id !== id) }
  // What came before cannot be undone past what came after it.
  if (undo) asking.notices = asking.notices.filter((n) => !n.undo)
  asking.notices.push({ id, text, bad, undo: undo && (() => { gone(); undo() }) })
  setTimeout(gone, undo ? 12_000 : bad ? 5000 : 2600)
}
