output "policy_arn" {
  description = "ARN of the policy, to attach it elsewhere."
  value       = aws_iam_policy.evenkeel.arn
}

output "policy_json" {
  description = "The policy, for review."
  value       = data.aws_iam_policy_document.evenkeel.json
}
