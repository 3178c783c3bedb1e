# `terraform test`: plans only, no account needed.

provider "aws" {
  region                      = "eu-central-1"
  access_key                  = "testing"
  secret_key                  = "testing"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
}

override_data {
  target = data.aws_caller_identity.current
  values = { account_id = "123456789012" }
}

variables {
  region                   = "eu-central-1"
  auto_scaling_group_names = ["web"]
  ecs_services             = [{ cluster = "main", service = "api" }]
}

run "sets_only_what_is_listed_and_tagged" {
  command = plan

  assert {
    condition = [
      for it in jsondecode(output.policy_json).Statement : it if it.Effect == "Allow"
      ] == [
      {
        Sid      = "ReadGroups"
        Effect   = "Allow"
        Action   = "autoscaling:DescribeAutoScalingGroups"
        Resource = "*"
      },
      {
        Sid       = "SetGroups"
        Effect    = "Allow"
        Action    = "autoscaling:SetDesiredCapacity"
        Resource  = "arn:aws:autoscaling:eu-central-1:123456789012:autoScalingGroup:*:autoScalingGroupName/web"
        Condition = { StringEquals = { "aws:ResourceTag/evenkeel" = "managed" } }
      },
      {
        Sid      = "ReadServices"
        Effect   = "Allow"
        Action   = "ecs:DescribeServices"
        Resource = "arn:aws:ecs:eu-central-1:123456789012:service/main/api"
      },
      {
        Sid       = "SetServices"
        Effect    = "Allow"
        Action    = "ecs:UpdateService"
        Resource  = "arn:aws:ecs:eu-central-1:123456789012:service/main/api"
        Condition = { StringEquals = { "aws:ResourceTag/evenkeel" = "managed" } }
      },
    ]
    error_message = "The policy allows something else: ${output.policy_json}"
  }

  assert {
    condition = alltrue([
      for action in ["autoscaling:TerminateInstanceInAutoScalingGroup", "autoscaling:Delete*", "ecs:Delete*", "ecs:StopTask", "ec2:TerminateInstances"] :
      contains(one([for it in jsondecode(output.policy_json).Statement : it.Action if it.Effect == "Deny"]), action)
    ])
    error_message = "The policy does not deny what destroys: ${output.policy_json}"
  }
}

run "healing_adds_what_replaces_and_nothing_else" {
  command = plan

  variables {
    heal_instances = true
  }

  assert {
    condition = [
      for it in jsondecode(output.policy_json).Statement : it.Sid if it.Effect == "Allow"
    ] == ["ReadGroups", "SetGroups", "ReadServices", "SetServices", "ReplaceInstances", "ReadTasks", "ReplaceTasks"]
    error_message = "The policy allows something else: ${output.policy_json}"
  }

  assert {
    condition = one([
      for it in jsondecode(output.policy_json).Statement : it if it.Sid == "ReplaceInstances"
      ]) == {
      Sid       = "ReplaceInstances"
      Effect    = "Allow"
      Action    = "autoscaling:TerminateInstanceInAutoScalingGroup"
      Resource  = "arn:aws:autoscaling:eu-central-1:123456789012:autoScalingGroup:*:autoScalingGroupName/web"
      Condition = { StringEquals = { "aws:ResourceTag/evenkeel" = "managed" } }
    }
    error_message = "Instances may be ended beyond what is listed and tagged: ${output.policy_json}"
  }

  assert {
    condition = alltrue([
      for action in ["autoscaling:Delete*", "ecs:Delete*", "ec2:TerminateInstances", "iam:*"] :
      contains(one([for it in jsondecode(output.policy_json).Statement : it.Action if it.Effect == "Deny"]), action)
    ])
    error_message = "The policy does not deny what destroys: ${output.policy_json}"
  }
}

run "empty_lists_allow_nothing" {
  command = plan

  variables {
    auto_scaling_group_names = []
    ecs_services             = []
  }

  assert {
    condition     = length([for it in jsondecode(output.policy_json).Statement : it if it.Effect == "Allow"]) == 0
    error_message = "An empty list allows something: ${output.policy_json}"
  }
}

run "the_tag_can_be_left_out_on_purpose" {
  command = plan

  variables {
    required_tag = null
  }

  assert {
    condition     = !strcontains(output.policy_json, "ResourceTag")
    error_message = "There is still a condition: ${output.policy_json}"
  }
}

run "wildcards_are_refused" {
  command = plan

  variables {
    region                   = "*"
    auto_scaling_group_names = ["web-*"]
    ecs_services             = [{ cluster = "main", service = "*" }]
  }

  expect_failures = [var.region, var.auto_scaling_group_names, var.ecs_services]
}
