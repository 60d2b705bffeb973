// Orders of nursing at home: colours and words, for the pages that show them.
import { TABLES, type Table } from './states'

const NURSING: Table = {
  requested: ['todo', '待指派'], assigned: ['todo', '待接单'], accepted: ['live', '已接单'], taken: ['live', '已取记录仪'],
  started: ['live', '服务中'], finished: ['good', '已完成'], declined: ['bad', '护士谢绝'], cancelled: ['quiet', '已取消'],
}
TABLES.nursing = NURSING
