// Orders of examinations and tests: colours and words, for the pages that show them.
import { TABLES, type Table } from './states'

const ORDER: Table = {
  draft: ['quiet', '草稿'], signed: ['live', '提交中'], open: ['good', '已开立'], refused: ['bad', '医院未受理'], unknown: ['bad', '提交待核实'],
  revoking: ['live', '撤回中'], revoke_unknown: ['bad', '撤回待核实'], revoked: ['quiet', '已撤回'],
}
TABLES.order = ORDER
