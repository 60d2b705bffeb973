// What only staff see: colours and words of their own work.
import { TABLES, type Table } from './states'

const RECORD_REVIEW: Table = { in_review: ['live', '待审核'], approved: ['good', '审核通过'], returned: ['bad', '已退回'], superseded: ['quiet', '已被新版替代'] }
const CONSILIUM: Table = {
  invited: ['todo', '待接受'], open: ['live', '会诊中'], concluded: ['good', '已出具意见'], evaluated: ['good', '已评价'],
  declined: ['bad', '已谢绝'], withdrawn: ['quiet', '已撤回'], lapsed: ['quiet', '已超时'],
}
TABLES.record_review = RECORD_REVIEW
TABLES.consilium = CONSILIUM
