# What the daemon may do in AWS: read capacities, set the capacity of what it was
# given, and nothing else.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0, < 7.0"
    }
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  partition = data.aws_partition.current.partition
  account   = data.aws_caller_identity.current.account_id

  # The identifier in the middle is AWS's own and new for every group; the name
  # after it is what people choose.
  group_arns = [
    for name in sort(var.auto_scaling_group_names) :
    "arn:${local.partition}:autoscaling:${var.region}:${local.account}:autoScalingGroup:*:autoScalingGroupName/${name}"
  ]

  service_arns = sort([
    for it in var.ecs_services :
    "arn:${local.partition}:ecs:${var.region}:${local.account}:service/${it.cluster}/${it.service}"
  ])

  clusters = distinct(sort([for it in var.ecs_services : it.cluster]))

  cluster_arns = [
    for it in local.clusters :
    "arn:${local.partition}:ecs:${var.region}:${local.account}:cluster/${it}"
  ]

  task_arns = [
    for it in local.clusters :
    "arn:${local.partition}:ecs:${var.region}:${local.account}:task/${it}/*"
  ]
}

data "aws_iam_policy_document" "evenkeel" {
  # DescribeAutoScalingGroups knows no resources and no conditions: AWS allows it
  # for all groups or for none. It shows names, sizes and tags, no secrets.
  dynamic "statement" {
    for_each = length(local.group_arns) == 0 ? [] : [true]
    content {
      sid       = "ReadGroups"
      effect    = "Allow"
      actions   = ["autoscaling:DescribeAutoScalingGroups"]
      resources = ["*"]
    }
  }

  # No group, no statement: an empty list never means all.
  dynamic "statement" {
    for_each = length(local.group_arns) == 0 ? [] : [true]
    content {
      sid       = "SetGroups"
      effect    = "Allow"
      actions   = ["autoscaling:SetDesiredCapacity"]
      resources = local.group_arns

      dynamic "condition" {
        for_each = var.required_tag == null ? [] : [var.required_tag]
        content {
          test     = "StringEquals"
          variable = "aws:ResourceTag/${condition.value.key}"
          values   = [condition.value.value]
        }
      }
    }
  }

  dynamic "statement" {
    for_each = length(local.service_arns) == 0 ? [] : [true]
    content {
      sid       = "ReadServices"
      effect    = "Allow"
      actions   = ["ecs:DescribeServices"]
      resources = local.service_arns
    }
  }

  # ECS has no narrower action than UpdateService; see the README for what
  # remains possible with it.
  dynamic "statement" {
    for_each = length(local.service_arns) == 0 ? [] : [true]
    content {
      sid       = "SetServices"
      effect    = "Allow"
      actions   = ["ecs:UpdateService"]
      resources = local.service_arns

      dynamic "condition" {
        for_each = var.required_tag == null ? [] : [var.required_tag]
        content {
          test     = "StringEquals"
          variable = "aws:ResourceTag/${condition.value.key}"
          values   = [condition.value.value]
        }
      }
    }
  }

  # Only for playbooks that replace instances (`heal_instances`): the group starts
  # another for each, so its capacity stays.
  dynamic "statement" {
    for_each = var.heal_instances && length(local.group_arns) != 0 ? [true] : []
    content {
      sid       = "ReplaceInstances"
      effect    = "Allow"
      actions   = ["autoscaling:TerminateInstanceInAutoScalingGroup"]
      resources = local.group_arns

      dynamic "condition" {
        for_each = var.required_tag == null ? [] : [var.required_tag]
        content {
          test     = "StringEquals"
          variable = "aws:ResourceTag/${condition.value.key}"
          values   = [condition.value.value]
        }
      }
    }
  }

  # Only for playbooks that restart tasks or roll back. ListTaskDefinitions knows no
  # resources: AWS allows it for all or for none.
  dynamic "statement" {
    for_each = var.heal_instances && length(local.service_arns) != 0 ? [true] : []
    content {
      sid       = "ReadTasks"
      effect    = "Allow"
      actions   = ["ecs:DescribeTasks", "ecs:ListTaskDefinitions", "ecs:ListTasks"]
      resources = ["*"]
    }
  }

  dynamic "statement" {
    for_each = var.heal_instances && length(local.service_arns) != 0 ? [true] : []
    content {
      sid       = "ReplaceTasks"
      effect    = "Allow"
      actions   = ["ecs:StopTask"]
      resources = local.task_arns

      condition {
        test     = "ArnEquals"
        variable = "ecs:cluster"
        values   = local.cluster_arns
      }
    }
  }

  # Whatever other policies the role gets: the daemon deletes nothing, ends nothing but
  # what `heal_instances` names, and changes nobody's bounds, tags or roles.
  statement {
    sid    = "NeverDestroy"
    effect = "Deny"
    actions = concat(var.heal_instances ? [] : [
      "autoscaling:TerminateInstanceInAutoScalingGroup",
      "ecs:StopTask",
      ], [
      "autoscaling:AttachInstances",
      "autoscaling:CreateOrUpdateTags",
      "autoscaling:Delete*",
      "autoscaling:DetachInstances",
      "autoscaling:EnterStandby",
      "autoscaling:SetInstanceHealth",
      "autoscaling:SetInstanceProtection",
      "autoscaling:UpdateAutoScalingGroup",
      "ec2:StopInstances",
      "ec2:TerminateInstances",
      "ecs:Delete*",
      "ecs:Deregister*",
      "ecs:ExecuteCommand",
      "ecs:RegisterTaskDefinition",
      "ecs:RunTask",
      "ecs:TagResource",
      "iam:*",
    ])
    resources = ["*"]
  }
}

resource "aws_iam_policy" "evenkeel" {
  name        = var.policy_name
  description = "Evenkeel: read capacities and set those it was given"
  policy      = data.aws_iam_policy_document.evenkeel.json
  tags        = var.tags
}

resource "aws_iam_role_policy_attachment" "evenkeel" {
  count      = var.role_name == null ? 0 : 1
  role       = var.role_name
  policy_arn = aws_iam_policy.evenkeel.arn
}
