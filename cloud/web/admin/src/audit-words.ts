// The audit's words as an auditor reads them. The exact word stands beside; unknown ones show themselves.
import { shortId } from '@yiqiao/kit/short'

const ACTS: Record<string, string> = {
  'audit.export': '导出审计日志', 'audit.verify': '校验审计链', 'audit.checkpoint': '审计检查点签名',
  'session.open': '登录', 'session.refused': '登录被拒', 'session.end': '退出登录', 'settings.change': '修改设置',
  'staff.create': '新建人员', 'staff.import': '导入人员', 'hospital.import': '导入医院资料', 'consent.publish': '发布知情同意书',
  'patient.add': '添加就诊人', 'patient.remove': '移除就诊人', 'patient.code': '出示就诊码', 'history.read': '查阅历史病历', 'record.save': '保存病历', 'upload.forget': '清除未用附件',
  'visit.book': '预约', 'visit.accept': '接诊', 'visit.rate': '评价', 'visit.export': '导出问诊', 'video.call': '发起视频', 'video.keep': '保存录像',
  'prescription.write': '开方', 'prescription.issue': '提交处方', 'prescription.discard': '作废草稿', 'prescription.fulfilment': '选择取药方式', 'prescription.hold': '处方转人工',
  'prescription.retry': '处方人工重试', 'prescription.settle': '处方人工了结', 'prescription.write_back_retry': '退费登记重试', 'prescription.refund_settled_by_hand': '退费人工了结',
  'manual.settle': '人工了结', 'refund.retry': '退款重试', 'parked.settle': '滞留数据了结', 'signing.enrol': '登记签名', 'signing.draw': '采集手写签名', 'signing.order': '检查检验单签名',
  'order.write': '写检查检验单', 'order.discard': '作废申请单草稿', 'order.sign': '签署申请单', 'order.take': '医院受理申请单', 'order.refuse': '医院未受理申请单', 'order.doubt': '申请单结果未知',
  'order.retry': '再次核实申请单', 'order.revoke': '撤回申请单', 'order.withdraw': '医院已撤回申请单', 'order.keep': '医院不同意撤回申请单', 'signing.roots_pinned': '信任签名根证书',
  'recorder.register': '登记记录仪', 'recorder.change': '修改记录仪', 'recorder.list': '加入白名单', 'recorder.unlist': '移出白名单', 'recorder.issue': '发放记录仪', 'recorder.return': '归还记录仪',
  'recorder.retire': '停用记录仪', 'recorder.restore': '启用记录仪', 'recorder.delete': '删除记录仪', 'footage.confirm': '视音频入库', 'footage.refuse': '视音频核验未通过',
  'dock.firmware': '升级采集坞固件', 'footage.view': '查看视音频', 'footage.play': '播放视音频', 'footage.verify': '核验视音频', 'footage.download': '下载视音频原件', 'footage.picture': '查看视音频画面', 'footage.proxy': '生成视音频预览', 'footage.export': '导出视音频', 'footage.cancel': '取消制作视音频副本', 'footage.export_fetch': '取走导出的视音频', 'footage.derive': '制作视音频画面', 'footage.media_again': '重新制作视音频画面', 'footage.search': '按就诊人查找视音频', 'recorder.export': '导出记录仪',
  'visit.end_of_service': '结束服务', 'signing.record': '签署病历', 'signing.prescription': '签署处方', 'signing.review': '签署审方意见', 'signing.consilium': '签署会诊意见',
  'record.issue': '生成签章病历', 'record.review.submit': '提交病历审核', 'record.review.read': '查阅待审病历', 'record.review.approve': '病历审核通过', 'record.review.send_back': '退回病历', 'record.review.supersede': '病历被新版替代',
  'consilium.invite': '邀请会诊', 'consilium.accept': '接受会诊', 'consilium.decline': '谢绝会诊', 'consilium.sign': '出具会诊意见', 'consilium.evaluate': '评价会诊', 'consilium.withdraw': '撤回会诊', 'consilium.lapse': '会诊超时', 'consilium.read': '会诊查阅资料',
  'nursing.create': '新建护理订单', 'nursing.change': '修改护理订单', 'nursing.assign': '指派护理订单', 'nursing.accept': '护士接单', 'nursing.decline': '护士谢绝订单', 'nursing.take': '领取记录仪', 'nursing.put_back': '归还未用的记录仪', 'nursing.open_bay': '再次打开卡位',
  'nursing.start': '开始上门服务', 'nursing.finish': '完成上门服务', 'nursing.end': '代护士结束上门服务', 'nursing.hand_over': '转交上门服务', 'nursing.record': '补写服务记录', 'nursing.cancel': '取消护理订单', 'nursing.view': '查看护理订单', 'nursing.search': '按患者查找护理订单', 'nursing.track': '查看护士轨迹', 'nursing.fill_form': '填写评估量表',
  'alarm.raise': '一键报警', 'alarm.acknowledge': '确认报警', 'alarm.close': '报警处理完毕', 'form.save': '保存评估量表', 'form.retire': '停用评估量表', 'form.restore': '启用评估量表',
  'terminal.card_passed': '自助机就诊卡核对通过', 'terminal.card_refused': '自助机就诊卡核对不一致',
  'print.template': '修改打印模板', 'print.decide': '处理打印任务', 'print.test': '打印测试页', 'print.find': '查找打印机',
}
/** An action in words. */
export const actName = (action: string): string => ACTS[action] ?? action

const KINDS: Record<string, string> = { acc: '患者', stf: '医护人员', edg: '前置机', his: '医院系统', channel: '支付渠道', system: '系统' }
/** Who acted: the kind in words and the id that tells one from the other. */
export function actorName(actor: string): string {
  const kind = KINDS[actor.split('_')[0] ?? '']
  if (!kind) return shortId(actor)
  return actor.includes('_') ? `${kind} ${actor.slice(-8)}` : kind
}
